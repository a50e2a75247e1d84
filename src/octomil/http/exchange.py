"""One call of the control plane, as far as it can be told without I/O.

What is sent, what an answer means, whether to try again and when: an exchange knows, and the
drivers, one that blocks and one for event loops, send and sleep.
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin
from uuid import uuid4

from octomil.errors import BadRequestError, OctomilClientError, UnexpectedAnswerError
from octomil.http.deadline import Deadline
from octomil.http.problems import error_of_answer, too_late, unreachable
from octomil.http.retry import RETRYABLE_STATUSES, Backoff, parse_retry_after

if TYPE_CHECKING:
    import httpx

_RETRIED = RETRYABLE_STATUSES - {500}  # a fault of the control plane's own is there the next time
_WRITING = frozenset({"POST", "PUT", "PATCH"})
BACKOFF = Backoff(attempts=4, first_s=0.5, longest_s=30.0)
_SHORTEST_S = 0.001  # a socket takes zero for "do not wait at all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call.

    Attributes:
        path: below the base, beginning with a slash; or a whole URL.
        query: a value of None is left out.
        json: the body, as JSON values; None for none.
        options: what else httpx is told, such as `files`.
        timeout_s: in place of the client's.
        deadline: when all of it must be over, tries and waits included; in place of `timeout_s`.
        is_repeatable: whether it may be sent again after a failure.
        is_authorised: whether the key goes along.
    """

    method: str
    path: str
    query: Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None
    json: Any = None
    options: Mapping[str, Any] | None = None
    timeout_s: float | None = None
    deadline: Deadline | None = None
    is_repeatable: bool = True
    is_authorised: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls which API, and how patiently.

    Attributes:
        base_url: what paths are below, without a slash at its end.
        bearer: returns the key or token to show; None for neither.
        timeout_s: the longest wait for the connection, and for the next byte.
        backoff: how often to try, and how long to wait in between.
        rng: the source of jitter.
    """

    base_url: str
    bearer: Callable[[], str] | None
    timeout_s: float = 60.0
    backoff: Backoff = BACKOFF
    rng: random.Random = field(default_factory=random.Random)

    def headers(self, request: Request) -> dict[str, str]:
        """Return a request's headers, those that every try of it bears."""
        headers = dict(request.headers or {})
        if request.is_authorised and self.bearer is not None:
            headers["Authorization"] = f"Bearer {self.bearer()}"
        if request.method in _WRITING:
            headers["Idempotency-Key"] = uuid4().hex
        return headers


class Exchange:
    """The tries of one request.

    Raises:
        BadRequestError: what is asked cannot be written as JSON.
    """

    def __init__(self, caller: Caller, request: Request) -> None:
        self._caller = caller
        self._request = request
        self._headers = caller.headers(request)
        self._content: dict[str, Any] = {}
        if request.json is not None:
            self._content["content"] = _written(request.json)
            self._headers["Content-Type"] = "application/json"
        self._failures = 0

    def build(
        self,
        client: "httpx.Client | httpx.AsyncClient",
        extensions: Mapping[str, Any] | None = None,
    ) -> "httpx.Request":
        """Return what is sent in one try.

        Raises:
            UnexpectedAnswerError: the path is a link that a server gave, and leads nowhere.
        """
        request = self._request
        return client.build_request(
            request.method,
            self._url(),
            params={k: v for k, v in (request.query or {}).items() if v is not None} or None,
            headers=dict(self._headers),
            timeout=self._timeout(),
            extensions=dict(extensions or {}),
            **self._content,
            **(request.options or {}),
        )

    def delay_s(self, failure: "httpx.Response | Exception") -> float:
        """Return how many seconds to wait before the next try.

        Args:
            failure: an answer from 400 up, read whole; or why there is none.

        Raises:
            OctomilClientError: no other try can help; the class says what is wrong.
        """
        self._failures += 1
        error, is_temporary, wish_s = self._judge(failure)
        cause = failure if isinstance(failure, Exception) else None
        if not (is_temporary and self._request.is_repeatable):
            raise error from cause
        delay_s = self._caller.backoff.delay_s(
            self._failures, retry_after_s=wish_s, jitter=self._caller.rng.random()
        )
        deadline = self._request.deadline
        if delay_s is None or (deadline is not None and delay_s >= deadline.left_s):
            raise error from cause
        return delay_s

    def _judge(
        self, failure: "httpx.Response | Exception"
    ) -> tuple[OctomilClientError, bool, float | None]:
        """Return the error that a failure is, whether it may pass, and the wait asked for."""
        import httpx

        if isinstance(failure, httpx.Response):
            wish_s = parse_retry_after(failure.headers.get("Retry-After"))
            return error_of_answer(failure), failure.status_code in _RETRIED, wish_s
        if isinstance(failure, UnicodeError):  # of a host that no name server can be asked for
            return _no_link(self._request.path, failure), False, None
        url, deadline = str(self._url()), self._request.deadline
        if deadline is not None and (deadline.is_over or is_timeout(failure)):
            return too_late(url, deadline.timeout_s), False, None
        return unreachable(url, reason_of(failure)), True, None

    def _url(self) -> "httpx.URL":
        import httpx

        path = self._request.path
        try:
            return httpx.URL(urljoin(self._caller.base_url + "/", path.removeprefix("/")))
        except (httpx.InvalidURL, ValueError) as error:
            raise _no_link(path, error) from error

    def _timeout(self) -> "httpx.Timeout":
        import httpx

        request, deadline = self._request, self._request.deadline
        if deadline is None:
            asked_s = request.timeout_s
            return httpx.Timeout(self._caller.timeout_s if asked_s is None else asked_s)
        # A deadline may be renewed while the answer is read, which httpx cannot be told.
        return httpx.Timeout(max(deadline.left_s, _SHORTEST_S), read=deadline.timeout_s)


def _written(value: Any) -> bytes:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadRequestError(f"the request cannot be written as JSON: {error}") from error


def is_timeout(error: Exception) -> bool:
    """Whether an error says that something took too long."""
    import httpx

    return isinstance(error, httpx.TimeoutException | TimeoutError)


def reason_of(error: Exception) -> str:
    """Return what an error says, if only its name."""
    return str(error) or type(error).__name__


def _no_link(path: str, error: Exception) -> UnexpectedAnswerError:
    return UnexpectedAnswerError(
        f"the server gave a link that leads nowhere ({error}): {path!r:.200}"
    )
