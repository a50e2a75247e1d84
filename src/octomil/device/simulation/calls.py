"""The calls of many simulated devices to one control plane: a bounded number at once, counted."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from octomil.errors import OctomilClientError
from octomil.http.api import api_base
from octomil.http.client import USER_AGENT
from octomil.http.problems import error_of_answer, unexpected, unreachable
from octomil.http.records import parse_json

if TYPE_CHECKING:
    import httpx

_TIMEOUT_S: Final = 30.0
_LATENCIES: Final = 10_000
"""So many of the last calls are remembered for how long they took."""


class Calls:
    """Sends the devices' requests, each once: what fails is the device's to send again.

    No redirect is followed, so that nothing but the given address is ever asked.

    Args:
        base_url: the control plane's, by http or https.
        connections: requests under way at once, at most.

    Raises:
        ConfigurationError: the address is none.
    """

    def __init__(self, base_url: str, connections: int) -> None:
        import httpx

        self._base_url = api_base(base_url)
        self._turn = asyncio.Semaphore(connections)
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        headers = {"User-Agent": USER_AGENT}
        self._client = httpx.AsyncClient(headers=headers, limits=limits, timeout=_TIMEOUT_S)
        self._taken_s: list[float] = []
        self.answered: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def send(
        self,
        what: str,
        path: str,
        *,
        bearer: str | None = None,
        body: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Any:
        """Send a request, and return the JSON that it is answered with.

        Args:
            what: in one word, for the counts.
            path: below the API's base.
            bearer: the token to show.
            body: makes it a POST; a GET without.
            key: the same on every try of one request.

        Raises:
            OctomilClientError: it is refused, or nobody answers.
        """
        import httpx

        shown = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        keyed = {"Idempotency-Key": key} if key else {}
        method = "GET" if body is None else "POST"
        url = self._base_url + path
        async with self._turn:
            began_s = time.perf_counter()
            try:
                answer = await self._client.request(method, url, headers=shown | keyed, json=body)
            except httpx.RequestError as error:
                self.refused[f"{what}: nobody answers"] += 1
                raise unreachable(url, str(error) or type(error).__name__) from error
            self._note(time.perf_counter() - began_s)
        try:
            return self._read(answer)
        except OctomilClientError:
            self.refused[f"{what}: {answer.status_code}"] += 1
            raise
        finally:
            self.answered[what] += 1

    def quantile_ms(self, share: float) -> float | None:
        """Return how long calls took, of the last ones; None if there was none."""
        ordered = sorted(self._taken_s)
        if not ordered:
            return None
        return 1e3 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def _note(self, seconds: float) -> None:
        if len(self._taken_s) < _LATENCIES:
            self._taken_s.append(seconds)
        else:
            self._taken_s[sum(self.answered.values()) % _LATENCIES] = seconds

    def _read(self, answer: "httpx.Response") -> Any:
        if answer.status_code >= 300:
            raise error_of_answer(answer)
        try:
            return parse_json(answer.content)
        except ValueError:
            raise unexpected(answer) from None
