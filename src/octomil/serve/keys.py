"""The keys clients may send, and the tenants they stand for."""

import hmac
import re
from collections.abc import Iterable, Mapping
from typing import Self

from octomil.errors import ConfigurationError
from octomil.serve.observation import DEFAULT_TENANT

_NAMED = re.compile(r"(?P<tenant>[A-Za-z0-9][A-Za-z0-9._-]{0,63})=(?P<key>=*[^=].*)", re.DOTALL)


class ClientKeys:
    """Tells who sent a request by its bearer token.

    Args:
        tenants: the tenant by key.
    """

    def __init__(self, tenants: Mapping[str, str]) -> None:
        self._tenants = [(key.encode(), tenant) for key, tenant in tenants.items()]

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Self:
        """Read `KEY` and `TENANT=KEY`; a tenant may have several keys.

        A key that ends in `=`, as base64 does, is not mistaken for a tenant's; one with a `=`
        inside needs its tenant written out.

        Raises:
            ConfigurationError: a key is empty, has space around it, or stands for two tenants.

        Example:
            >>> ClientKeys.parse(["secret", "ann=topsecret"]).tenant_of(b"Bearer topsecret")
            'ann'
        """
        tenants: dict[str, str] = {}
        for text in texts:
            found = _NAMED.fullmatch(text)
            tenant, key = (found["tenant"], found["key"]) if found else (DEFAULT_TENANT, text)
            if not key or key != key.strip():
                raise ConfigurationError(
                    "an API key is empty or has space around it; give --api-key or "
                    "OCTOMIL_SERVE_KEY a plain value, or neither to accept any key"
                )
            if tenants.setdefault(key, tenant) != tenant:
                raise ConfigurationError(
                    f"tenants {tenants[key]!r} and {tenant!r} have the same key; give each its own"
                )
        return cls(tenants)

    def __bool__(self) -> bool:
        return bool(self._tenants)

    def tenant_of(self, authorization: bytes) -> str | None:
        """Return whose key an `Authorization` header holds; None if nobody's.

        Every key is compared, each in constant time, so that the time tells nothing.
        """
        scheme, _, given = authorization.partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        tenant: str | None = None
        for key, owner in self._tenants:
            if hmac.compare_digest(given.strip(), key):
                tenant = owner
        return tenant
