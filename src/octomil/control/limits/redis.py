"""Buckets in Redis, moved by a script there, so that two replicas cannot take the same token."""

from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from octomil.control.gcra import Decision, RateLimit, described
from octomil.control.ports import LimitsUnavailableError
from octomil.errors import ConfigurationError

PATIENCE_S = 0.25
"""So long a request waits for Redis at most, connecting included."""

_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local full_at = tonumber(redis.call('GET', KEYS[1]) or '0')
local moved = math.max(full_at, now) + interval
if moved - now > window then
  return {0, full_at - now}
end
redis.call('SET', KEYS[1], string.format('%.0f', moved), 'PX', math.ceil((moved - now) / 1000))
return {1, moved - now}
"""
"""The same as `gcra.decide`, in microseconds of the server's own clock."""


class RedisLimits:
    """Takes tokens from buckets that all replicas share; used from one event loop.

    Args:
        url: such as `redis://HOST:6379/0`; `rediss://` for TLS.

    Raises:
        ConfigurationError: the URL makes no sense.
    """

    def __init__(self, url: str) -> None:
        try:
            self._redis: Any = redis.asyncio.Redis.from_url(
                url, socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S
            )
        except ValueError as error:
            raise ConfigurationError(
                f"REDIS_URL is no URL of a Redis server ({error}); write redis://HOST:6379/0"
            ) from None
        self._script = self._redis.register_script(_SCRIPT)

    async def take(self, who: str, limit: RateLimit) -> Decision:
        """Take a token out of a caller's bucket.

        Raises:
            LimitsUnavailableError: Redis does not answer, or not in time.
        """
        window_us = limit.window_s * 1_000_000
        arguments = [window_us // limit.requests, window_us]
        try:
            allowed, ahead_us = await self._script([f"octomil:limit:{limit}:{who}"], arguments)
        except (RedisError, OSError) as error:
            raise LimitsUnavailableError(str(error)) from error
        return described(limit, ahead_us / 1e6, allowed=bool(allowed))

    async def close(self) -> None:
        """Give the connections back."""
        await self._redis.aclose()
