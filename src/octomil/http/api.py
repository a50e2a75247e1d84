"""Calls to the control plane: where it is, who asks, and trying again what may be tried again."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urljoin, urlsplit
from uuid import uuid4

from octomil.errors import ConfigurationError, OctomilClientError, UnexpectedAnswerError
from octomil.http.client import USER_AGENT
from octomil.http.problems import error_of_answer, unexpected, unreachable
from octomil.http.records import parse_json
from octomil.http.retry import RETRYABLE_STATUSES, Backoff, parse_retry_after

if TYPE_CHECKING:
    import httpx

PREFIX = "/api/v1"

_RETRIED = RETRYABLE_STATUSES - {500}  # a fault of the control plane's own is there the next time
_WRITING = frozenset({"POST", "PUT", "PATCH"})
_BACKOFF = Backoff(attempts=4, first_s=0.5, longest_s=30.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call.

    Attributes:
        path: below the base, beginning with a slash; or a whole URL.
        query: a value of None is left out.
        json: the body, as JSON values; None for none.
        options: what else httpx is told, such as `files`.
        timeout_s: in place of the client's.
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
    is_repeatable: bool = True
    is_authorised: bool = True


class ApiClient:
    """Sends requests to a control plane and raises its errors as the classes they were there.

    What fails for now (no connection, 408, 425, 429, 502, 503, 504) is tried again with growing
    patience, or when `Retry-After` says. What writes (POST, PUT, PATCH) bears an `Idempotency-Key`,
    the same on every try, so that the server can tell a second try from a second request.

    Args:
        base_url: such as `http://127.0.0.1:8000/api/v1`; an address without a path gets that one.
        bearer: returns the key or token to show; None for neither.
        timeout_s: the longest wait for the connection, and for the next byte.
        backoff: how often to try, and how long to wait in between.
        sleep: waits some seconds.
        rng: the source of jitter.

    Raises:
        ConfigurationError: the address is none.
    """

    def __init__(
        self,
        base_url: str,
        bearer: Callable[[], str] | None,
        *,
        timeout_s: float = 60.0,
        backoff: Backoff = _BACKOFF,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
    ) -> None:
        import httpx

        self.base_url = api_base(base_url)
        self._timeout_s = timeout_s
        self._bearer = bearer
        self._backoff = backoff
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._client = httpx.Client(headers={"User-Agent": USER_AGENT})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection; closing twice is harmless."""
        self._client.close()

    def get(self, path: str, **query: Any) -> Any:
        """Return what a GET is answered with, as JSON values whose objects are records.

        Raises:
            OctomilClientError: as in :meth:`send`.
        """
        return self.call(Request(method="GET", path=path, query=query))

    def post(self, path: str, body: Any) -> Any:
        """Return what a POST of JSON is answered with. Raises as :meth:`send` does."""
        return self.call(Request(method="POST", path=path, json=body))

    def patch(self, path: str, body: Any) -> Any:
        """Return what a PATCH with JSON is answered with. Raises as :meth:`send` does."""
        return self.call(Request(method="PATCH", path=path, json=body))

    def put(self, path: str, body: Any) -> Any:
        """Return what a PUT of JSON is answered with. Raises as :meth:`send` does."""
        return self.call(Request(method="PUT", path=path, json=body))

    def delete(self, path: str, **query: Any) -> Any:
        """Return what a DELETE is answered with. Raises as :meth:`send` does."""
        return self.call(Request(method="DELETE", path=path, query=query))

    def call(self, request: Request) -> Any:
        """Return the JSON that a request is answered with. Raises as :meth:`send` does."""
        answer = self.send(request)
        try:
            return parse_json(answer.content)
        except ValueError:
            raise unexpected(answer) from None

    def send(self, request: Request) -> "httpx.Response":
        """Send a request, again if need be, and return its answer below 400.

        Raises:
            ApiError: the server refused; the class says how, `request_id` which request it was.
            ServerUnreachableError: nobody answers.
            UnexpectedAnswerError: what answers is no control plane.
        """
        return self._answer(request, is_whole=True)

    @contextmanager
    def stream(self, request: Request) -> "Iterator[httpx.Response]":
        """Send a request, and hand over its answer before the body is read.

        Raises:
            OctomilClientError: as in :meth:`send`; what breaks off while the body is read in the
                block is a ServerUnreachableError.
        """
        import httpx

        with closing(self._answer(request, is_whole=False)) as answer:
            try:
                yield answer
            except httpx.RequestError as error:
                raise unreachable(str(answer.url), _reason(error)) from error

    def _answer(self, request: Request, *, is_whole: bool) -> "httpx.Response":
        headers = self._headers(request)
        for failures in count(1):
            outcome = self._try(request, headers, is_whole=is_whole)
            if not isinstance(outcome, _Failure):
                return outcome
            delay_s = self._delay_s(failures, outcome) if request.is_repeatable else None
            if delay_s is None:
                raise outcome.error
            self._sleep(delay_s)
        raise AssertionError("count() never ends")

    def _headers(self, request: Request) -> dict[str, str]:
        headers = dict(request.headers or {})
        if request.is_authorised and self._bearer is not None:
            headers["Authorization"] = f"Bearer {self._bearer()}"
        if request.method in _WRITING:
            headers["Idempotency-Key"] = uuid4().hex
        return headers

    def _try(
        self, request: Request, headers: Mapping[str, str], *, is_whole: bool
    ) -> "httpx.Response | _Failure":
        """Send a request once, and read the answer's body if it is wanted whole."""
        import httpx

        url = self._url(request.path)
        timeout_s = self._timeout_s if request.timeout_s is None else request.timeout_s
        sent = self._client.build_request(
            request.method,
            url,
            params={k: v for k, v in (request.query or {}).items() if v is not None} or None,
            headers=dict(headers),
            json=request.json,
            timeout=timeout_s,
            **(request.options or {}),
        )
        try:
            answer = self._client.send(sent, stream=True)
            if answer.is_success and not is_whole:
                return answer
            with closing(answer):
                answer.read()
        except httpx.RequestError as error:
            return _Failure(unreachable(str(url), _reason(error)), is_temporary=True)
        except UnicodeError as error:  # of a host that no name server can be asked for
            raise _no_link(request.path, error) from error
        if answer.is_success:
            return answer
        wish_s = parse_retry_after(answer.headers.get("Retry-After"))
        return _Failure(error_of_answer(answer), answer.status_code in _RETRIED, wish_s)

    def _url(self, path: str) -> "httpx.URL":
        """Return where a request goes.

        Raises:
            UnexpectedAnswerError: nowhere; only a link that a server gave can do that.
        """
        import httpx

        try:
            return httpx.URL(urljoin(self.base_url + "/", path.removeprefix("/")))
        except (httpx.InvalidURL, ValueError) as error:
            raise _no_link(path, error) from error

    def _delay_s(self, failures: int, failure: "_Failure") -> float | None:
        if not failure.is_temporary:
            return None
        return self._backoff.delay_s(
            failures, retry_after_s=failure.retry_after_s, jitter=self._rng.random()
        )


@dataclass(frozen=True, slots=True)
class _Failure:
    """How a try went wrong.

    Attributes:
        is_temporary: whether another try may cure it.
        retry_after_s: what the server asked for.
    """

    error: OctomilClientError
    is_temporary: bool
    retry_after_s: float | None = None


def path_to(*segments: str) -> str:
    """Return the path of a resource, whatever characters its ids have.

    >>> path_to("models", "a/b", "versions", "1.0.0+x")
    '/models/a%2Fb/versions/1.0.0%2Bx'
    """
    return "".join(f"/{quote(segment, safe='')}" for segment in segments)


def api_base(url: str) -> str:
    """Return the base of the API that an address means: one without a path gets `/api/v1`.

    Raises:
        ConfigurationError: it is no address.

    Example:
        >>> api_base("http://127.0.0.1:8000/"), api_base("https://x.example/octo/api/v1/")
        ('http://127.0.0.1:8000/api/v1', 'https://x.example/octo/api/v1')
    """
    url = url.strip().rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            f"{url!r} is no address of a control plane; write http://HOST:PORT, or the same with "
            f"{PREFIX} after it"
        )
    return url if parts.path else url + PREFIX


def _no_link(path: str, error: Exception) -> UnexpectedAnswerError:
    return UnexpectedAnswerError(
        f"the server gave a link that leads nowhere ({error}): {path!r:.200}"
    )


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
