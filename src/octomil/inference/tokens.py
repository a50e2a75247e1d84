"""The stream of tokens as it goes over the wire, read without I/O."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from octomil.errors import (
    GenerationError,
    OctomilClientError,
    TruncatedStreamError,
    UnexpectedAnswerError,
)
from octomil.http.deadline import Deadline
from octomil.http.exchange import is_timeout, reason_of
from octomil.http.problems import error_of_problem, request_id_of, too_late, unexpected
from octomil.http.records import parse_json
from octomil.http.sse import Event, SseFramer, read_events
from octomil.inference.fields import (
    count_of,
    flag_of,
    number_or_none,
    object_of,
    text_of,
    text_or_none,
)
from octomil.wire.inference import TokenUsage

if TYPE_CHECKING:
    import httpx

_EVENT_STREAM = "text/event-stream"
_ERROR = "error"


@dataclass(frozen=True, slots=True)
class StreamToken:
    """A piece of an answer.

    Attributes:
        token: its text; empty in the last.
        done: whether the answer ends here.
        provider: the backend that generates it.
        latency_ms: milliseconds from the request's arrival at the control plane to this token.
        session_id: what the control plane calls the answer.
        finish_reason: why it ends (`stop`, `length`), in the last.
        usage: what it took, in the last.
    """

    token: str
    done: bool
    provider: str | None = None
    latency_ms: float | None = None
    session_id: str | None = None
    finish_reason: str | None = None
    usage: TokenUsage | None = None

    @classmethod
    def read(cls, data: bytes) -> "StreamToken":
        """Read the data of an event.

        Raises:
            ValueError: it is no token.

        Example:
            >>> StreamToken.read(b'{"token": "Cherry", "done": false, "provider": "ollama"}').token
            'Cherry'
        """
        said = object_of(parse_json(data), "the event")
        return cls(
            text_of(said, "token"),
            flag_of(said, "done"),
            text_or_none(said, "provider"),
            number_or_none(said, "latency_ms"),
            text_or_none(said, "session_id"),
            text_or_none(said, "finish_reason"),
            usage_of(said),
        )


def usage_of(answer: Mapping[str, Any]) -> TokenUsage | None:
    """Return the usage that an answer tells of, if it does.

    Raises:
        ValueError: it makes no sense.
    """
    if answer.get("usage") is None:
        return None
    usage = object_of(answer["usage"], "'usage'")
    return TokenUsage(
        prompt_tokens=count_of(usage, "prompt_tokens"),
        completion_tokens=count_of(usage, "completion_tokens"),
        total_tokens=count_of(usage, "total_tokens"),
    )


class TokenReader:
    """Reads the body of one streamed answer, and says what is wrong with one that ends too early.

    Args:
        answer: its head; the body comes piece by piece.
    """

    def __init__(self, answer: "httpx.Response") -> None:
        self._answer = answer
        self._framer = SseFramer()
        self._is_stream = answer.headers.get("content-type", "").startswith(_EVENT_STREAM)
        self._tokens = 0

    def feed(self, chunk: bytes) -> Iterator[StreamToken]:
        """Yield the tokens that have arrived whole; nothing follows one that is `done`.

        Raises:
            ApiError: the server says that the generation failed.
            UnexpectedAnswerError: that is no stream of tokens.
        """
        if not self._is_stream:
            raise unexpected(self._answer, chunk)
        try:
            events = self._framer.feed(chunk)
        except GenerationError as error:
            raise self._known(UnexpectedAnswerError(f"{self._answer.url}: {error}")) from None
        for event in read_events(events):
            if event.name == _ERROR:
                raise self._told(event)
            token = self._token(event)
            self._tokens += 1
            yield token

    def early_end(self, reason: Exception | None, deadline: Deadline) -> OctomilClientError:
        """Return the error for a body that ended, or broke off, before a token that is `done`."""
        if deadline.is_over or (reason is not None and is_timeout(reason)):
            return self._known(too_late(str(self._answer.url), deadline.timeout_s))
        if not self._is_stream:
            return unexpected(self._answer, b"")
        how = "ended" if reason is None else f"broke off ({reason_of(reason)})"
        return self._known(
            TruncatedStreamError(
                f"the stream from {self._answer.url} {how} after {self._tokens:,} tokens and "
                "before its end: what came is not the whole answer; ask again"
            )
        )

    def _token(self, event: Event) -> StreamToken:
        try:
            return StreamToken.read(event.data)
        except ValueError as error:
            shown = event.data[:200].decode("utf-8", "replace")
            raise self._known(
                UnexpectedAnswerError(
                    f"{self._answer.url} sent what is no token ({error}): {shown!r}; check "
                    "OCTOMIL_API_BASE"
                )
            ) from None

    def _told(self, event: Event) -> OctomilClientError:
        """Return the error that an event tells of."""
        try:
            problem = object_of(parse_json(event.data), "the error")
            return self._known(error_of_problem(problem, problem.get("status_code", 500)))
        except (ValueError, KeyError, TypeError):
            return unexpected(self._answer, event.data)

    def _known(self, error: OctomilClientError) -> OctomilClientError:
        error.request_id = error.request_id or request_id_of(self._answer)
        return error
