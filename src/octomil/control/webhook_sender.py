"""Posting messages to webhooks over HTTP, and to nobody who must not be called.

The name is resolved here and the address that was looked at is the one that is called: between two
look-ups a name may change its address (DNS rebinding). Redirects are not followed, proxies of the
environment are not used, and of the answer only the status is read.
"""

import asyncio
import socket
import ssl
from urllib.parse import urlsplit

from octomil._version import __version__
from octomil.control.ports import WebhookUnreachableError
from octomil.control.services.webhook_targets import is_public

TIMEOUT_S = 10.0
"""Well below the lease of a delivery (`services.deliveries.LEASE`), within which it is settled."""


class HttpWebhookSender:
    """Posts messages.

    Args:
        allow_private: whether addresses that are not public may be called.
        timeout_s: for everything together: look-up, connection, answer.
    """

    def __init__(self, *, allow_private: bool, timeout_s: float = TIMEOUT_S) -> None:
        self._allow_private = allow_private
        self._timeout_s = timeout_s
        self._tls: ssl.SSLContext | None = None

    async def send(self, url: str, headers: dict[str, str], body: bytes) -> int:
        """Post a message and return the HTTP status of the answer.

        Raises:
            WebhookUnreachableError: there was no answer, or the address may not be called.
        """
        import httpx

        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._post(url, headers, body)
        except TimeoutError:
            raise WebhookUnreachableError(f"no answer within {self._timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            raise WebhookUnreachableError(f"{type(error).__name__}: {error}") from error

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        import httpx

        target = httpx.URL(url)
        address = await self._address(target.host, target.port or _port_of(target.scheme))
        sent = {
            **headers,
            "host": urlsplit(url).netloc,
            "user-agent": f"octomil/{__version__}",
        }
        tls = self._tls_context() if target.scheme == "https" else False
        async with (
            # Its own time-outs would only race with the one of `send`, hence none (S113).
            httpx.AsyncClient(verify=tls, trust_env=False, timeout=None) as client,  # noqa: S113
            client.stream(
                "POST",
                target.copy_with(host=address),
                headers=sent,
                content=body,
                extensions={"sni_hostname": target.host},
            ) as answer,
        ):
            return answer.status_code

    async def _address(self, host: str, port: int) -> str:
        """Return an address of a host that may be called.

        Raises:
            WebhookUnreachableError: it has none.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        may_be_called = self._allow_private or all(map(is_public, addresses))
        if not (addresses and may_be_called):  # which address it is, is for insiders to know
            raise WebhookUnreachableError(
                f"{host} has no public address, or one that is not: it may not be called"
            )
        return addresses[0]

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:  # reading the certificates takes a while
            self._tls = ssl.create_default_context()
        return self._tls


def _port_of(scheme: str) -> int:
    return 443 if scheme == "https" else 80
