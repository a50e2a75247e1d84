"""Calls to the control plane: where it is, who asks, and trying again what may be tried again."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlsplit

from octomil.errors import ConfigurationError
from octomil.http.client import USER_AGENT, tls_context
from octomil.http.deadline import Deadline, Watchdog
from octomil.http.exchange import BACKOFF, Caller, Exchange, Request, reason_of
from octomil.http.problems import unexpected, unreachable
from octomil.http.records import parse_json
from octomil.http.retry import Backoff

if TYPE_CHECKING:
    import httpx

PREFIX = "/api/v1"


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
        backoff: Backoff = BACKOFF,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self.caller = Caller(
            base_url=api_base(base_url),
            bearer=bearer,
            timeout_s=timeout_s,
            backoff=backoff,
            rng=rng or random.Random(),
        )
        self._sleep = sleep
        self._client = _client()

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

    @property
    def base_url(self) -> str:
        """What paths are below."""
        return self.caller.base_url

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
            AnswerTimeoutError: the request's deadline was over before the whole answer was there.
            UnexpectedAnswerError: what answers is no control plane.
        """
        with self._line(request.deadline) as line:
            return self._answer(request, line, is_whole=True)

    @contextmanager
    def stream(self, request: Request) -> "Iterator[httpx.Response]":
        """Send a request, and hand over its answer before the body is read.

        The request's deadline, if there is one, is watched over to the end of the block; what it
        breaks off is a `ReadError` or a `RemoteProtocolError` of httpx there.

        Raises:
            OctomilClientError: as in :meth:`send`; what breaks off while the body is read in the
                block is a ServerUnreachableError.
        """
        import httpx

        with (
            self._line(request.deadline) as line,
            closing(self._answer(request, line, is_whole=False)) as answer,
        ):
            try:
                yield answer
            except httpx.RequestError as error:
                raise unreachable(str(answer.url), reason_of(error)) from error

    def _answer(self, request: Request, line: "_Line", *, is_whole: bool) -> "httpx.Response":
        import httpx

        exchange = Exchange(self.caller, request)
        while True:
            sent = exchange.build(line.client, line.extensions)
            failure: httpx.Response | Exception
            try:
                answer = _try(line.client, sent, is_whole=is_whole)
            except (httpx.RequestError, UnicodeError) as error:
                failure = error
            else:
                if answer.is_success:
                    return answer
                failure = answer
            self._sleep(exchange.delay_s(failure))

    @contextmanager
    def _line(self, deadline: Deadline | None) -> "Iterator[_Line]":
        """Hand over what a request is sent by: with a deadline, on connections of its own.

        httpx tells of a connection that it makes, and not of one that it kept; and what a watchdog
        may shut down must never be another call's.
        """
        import httpx

        if deadline is None:
            yield _Line(self._client)
            return
        with (
            _client(limits=httpx.Limits(max_keepalive_connections=0)) as client,
            Watchdog(deadline) as watchdog,
        ):
            yield _Line(client, {"trace": watchdog.trace})


@dataclass(frozen=True, slots=True)
class _Line:
    """What a request is sent by, and what httpx is told with each of its tries."""

    client: "httpx.Client"
    extensions: Mapping[str, Any] | None = None


def _client(**options: Any) -> "httpx.Client":
    import httpx

    return httpx.Client(headers={"User-Agent": USER_AGENT}, verify=tls_context(), **options)


def _try(client: "httpx.Client", sent: "httpx.Request", *, is_whole: bool) -> "httpx.Response":
    """Send a request once; read the body if it is wanted whole, or tells of an error."""
    answer = client.send(sent, stream=True)
    if is_whole or not answer.is_success:
        with closing(answer):
            answer.read()
    return answer


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
