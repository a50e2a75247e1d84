"""A thin httpx core: one user agent, one reading of what is temporary, imported when used."""

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from octomil._version import __version__
from octomil.http.retry import RETRYABLE_STATUSES, TemporaryHttpError, parse_retry_after

if TYPE_CHECKING:
    import ssl

    import httpx

USER_AGENT = f"octomil-oss/{__version__}"


@functools.cache
def tls_context() -> "ssl.SSLContext":
    """Return what servers' certificates are checked by; to load it takes some 30 ms, once."""
    import httpx

    return httpx.create_ssl_context()


class HttpClient:
    """Blocking HTTP with temporary failures told apart from final ones.

    Transport failures and retryable statuses raise :class:`TemporaryHttpError`; every other
    response is returned for the caller to judge. Credentials are never sent on to another origin.
    """

    def __init__(self, *, timeout_s: float = 30.0) -> None:
        import httpx

        self._client = httpx.Client(timeout=timeout_s, headers={"User-Agent": USER_AGENT})

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
        """Close every pooled connection."""
        self._client.close()

    def head(self, url: str, headers: Mapping[str, str]) -> "httpx.Response":
        """Send HEAD and do not follow a redirect: its headers are often the answer.

        Raises:
            TemporaryHttpError: the connection failed, or the status may change by itself.
        """
        with _temporary_failures(url):
            return _judged(self._client.head(url, headers=dict(headers)))

    @contextmanager
    def stream(self, url: str, headers: Mapping[str, str]) -> Iterator["httpx.Response"]:
        """Send GET, follow redirects, and hand over the response before its body is read.

        Raises:
            TemporaryHttpError: as in :meth:`head`, also while the body is read inside the block.
        """
        with (
            _temporary_failures(url),
            self._client.stream(
                "GET", url, headers=dict(headers), follow_redirects=True
            ) as response,
        ):
            yield _judged(response)


def _judged(response: "httpx.Response") -> "httpx.Response":
    if response.status_code in RETRYABLE_STATUSES:
        wish_s = parse_retry_after(response.headers.get("Retry-After"))
        message = f"{response.url.host} answered {response.status_code} {response.reason_phrase}"
        message = message.rstrip() + (f" and asks to wait {wish_s:.0f} s" if wish_s else "")
        raise TemporaryHttpError(message, retry_after_s=wish_s)
    return response


@contextmanager
def _temporary_failures(url: str) -> Iterator[None]:
    import httpx

    try:
        yield
    except httpx.TransportError as error:
        host = httpx.URL(url).host or url
        reason = str(error) or type(error).__name__
        raise TemporaryHttpError(f"no answer from {host}: {reason}") from error
