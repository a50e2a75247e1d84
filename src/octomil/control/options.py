"""What `octomil up` can be told; the command line is made from it."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from octomil.control.gcra import RateLimit
from octomil.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlOptions:
    """How the control plane is reached.

    Attributes:
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        cors_origins: origins whose web pages may call.
        tls_cert: the certificate and those above it, as a PEM file.
        tls_key: its private key.
        insecure: take plain HTTP on an address that others can reach, as behind a proxy that ends
            TLS.
        trusted_proxies: addresses and networks of proxies, which say in `X-Forwarded-For` and
            `X-Forwarded-Proto` for whom they ask.
        rate_limit: how often each API key may ask, such as `500/s`; `off` for no limit.
        device_rate_limit: how often each device may ask.
        failure_rate_limit: how often each client address may show a wrong key or token.
        body_memory_mib: memory that the bodies of all requests together may take.
        open_uploads: uploads that each organisation may have under way.
        open_upload_gib: what those are going to have together.
        open_generations: answers of models that each organisation may have in the making.
        drain_s: seconds running requests get to finish after SIGTERM.

    Raises:
        ConfigurationError: the host is empty, a certificate lacks its key or the other way round,
            keys would cross a network in the clear, a proxy has no address, a limit cannot be
            read, the memory does not suffice for one body, or no upload or answer could
            begin.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    cors_origins: tuple[str, ...] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    insecure: bool = False
    trusted_proxies: tuple[str, ...] = ()
    rate_limit: str = "500/s"
    device_rate_limit: str = "100/m"
    failure_rate_limit: str = "20/s"
    body_memory_mib: int = 256
    open_uploads: int = 100
    open_upload_gib: int = 1024
    open_generations: int = 64
    drain_s: float = 30.0

    def __post_init__(self) -> None:
        if not self.host.strip():
            raise ConfigurationError(
                "the host is empty; leave --host out, or write 0.0.0.0 if every address is meant"
            )
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ConfigurationError("--tls-cert and --tls-key belong together; give both")
        for path in filter(None, (self.tls_cert, self.tls_key)):
            if not path.is_file():
                raise ConfigurationError(f"there is no file {path}")
        if not (self.tls_cert or self.insecure or _is_loopback(self.host)):
            raise ConfigurationError(
                f"others can reach {self.host}, and would send their keys in the clear; give "
                "--tls-cert and --tls-key, or --insecure behind a proxy that ends TLS"
            )
        for proxy in self.trusted_proxies:
            _require_network(proxy)
        for limit in (self.rate_limit, self.device_rate_limit, self.failure_rate_limit):
            RateLimit.parse(limit)
        if self.body_memory_mib < 1:
            raise ConfigurationError(
                f"{self.body_memory_mib} MiB are too few for one body; give --body-memory 1 or more"
            )
        if min(self.open_uploads, self.open_upload_gib, self.open_generations) < 1:
            raise ConfigurationError(
                "no upload or no answer could begin; give --open-uploads, --open-upload-size and "
                "--open-generations 1 or more each"
            )


def require_public_url(url: str) -> str:
    """Return a URL that others reach the control plane by, without a slash at its end.

    Raises:
        ConfigurationError: it is no URL of HTTP, or has a query or credentials.

    Example:
        >>> require_public_url("https://models.example/octomil/")
        'https://models.example/octomil'
    """
    try:
        parts = urlsplit(url)
        is_right = parts.port != 0 and parts.scheme in ("http", "https") and bool(parts.hostname)
        is_plain = not (parts.query or parts.fragment or "@" in parts.netloc)
    except ValueError:
        is_right = is_plain = False
    if not (is_right and is_plain):
        raise ConfigurationError(
            f"{url!r} is no URL that clients can reach; write it as in https://models.example"
        )
    return url.rstrip("/")


def _require_network(text: str) -> None:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ConfigurationError(
            f"{text!r} is no address of a proxy ({error}); write 10.0.0.7 or 10.0.0.0/24"
        ) from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
