"""Streamed answers read by the SDK, in both ways, with what came of them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from octomil.errors import OctomilClientError
from octomil.http.api import ApiClient
from octomil.http.retry import Backoff
from octomil.inference.streaming import stream_tokens, stream_tokens_async
from octomil.inference.tokens import StreamToken
from support.waiting import PATIENCE_S

AT_ONCE = Backoff(attempts=3, first_s=0.0)
"""Tries again as often as anybody, without a wait."""


@dataclass
class Outcome:
    """What came of a stream.

    Attributes:
        error: how it ended; None if it came to its end.
    """

    tokens: list[StreamToken] = field(default_factory=list)
    error: OctomilClientError | None = None

    @property
    def text(self) -> str:
        return "".join(token.token for token in self.tokens)

    @property
    def is_whole(self) -> bool:
        """Whether the stream said that it is."""
        return self.error is None and [t.done for t in self.tokens].index(True) == (
            len(self.tokens) - 1
        )


def read_blocking(url: str, text: str, timeout_s: float = PATIENCE_S) -> Outcome:
    outcome = Outcome()
    with ApiClient(url, lambda: "edg_1", backoff=AT_ONCE) as api:
        try:
            for token in stream_tokens(api, "m", text, None, timeout_s):
                outcome.tokens.append(token)
        except OctomilClientError as error:
            outcome.error = error
    return outcome


def read_in_a_loop(url: str, text: str, timeout_s: float = PATIENCE_S) -> Outcome:
    return asyncio.run(read_async(url, text, timeout_s))


async def read_async(url: str, text: str, timeout_s: float = PATIENCE_S) -> Outcome:
    outcome = Outcome()
    with ApiClient(url, lambda: "edg_1", backoff=AT_ONCE) as api:
        try:
            async for token in stream_tokens_async(api.caller, "m", text, None, timeout_s):
                outcome.tokens.append(token)
        except OctomilClientError as error:
            outcome.error = error
    return outcome


Reading = Callable[..., Outcome]

READINGS: dict[str, Reading] = {"blocking": read_blocking, "event loop": read_in_a_loop}
