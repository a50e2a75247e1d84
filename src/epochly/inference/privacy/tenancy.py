"""Cache keys that belong to one tenant and can be mistaken for no other's."""

import re
from collections.abc import Mapping
from typing import Self

from epochly.errors import ConfigurationError
from epochly.inference.config.environment import ENVIRONMENT
from epochly.inference.config.variables import TENANT_ID

# The separator, the escape sign, and what the stores' own key patterns would read as a wildcard.
_RESERVED = re.compile(r"[%:*?\[\]\\]")


class TenantIsolation:
    """Put a tenant's name in front of every cache key.

    An ordinary id gives the documented `"{tenant_id}:{key}"`. Characters that could make two
    tenants' keys equal, or that a store reads as a wildcard or a control character, are
    percent-encoded as UTF-8 in the tenant's part, so that distinct pairs of tenant and key always
    give distinct results, and no tenant's prefix begins another's.

    Args:
        tenant_id: any text but the empty one.

    Raises:
        ConfigurationError: the id is empty or not text.

    Example:
        >>> TenantIsolation("acme").namespace_key("a:b")
        'acme:a:b'
        >>> TenantIsolation("acme:a").namespace_key("b")
        'acme%3Aa:b'
    """

    __slots__ = ("_prefix", "_tenant_id")

    def __init__(self, tenant_id: str = TENANT_ID.default) -> None:
        if not isinstance(tenant_id, str) or not tenant_id:
            raise ConfigurationError(f"tenant_id must be text and not empty, got {tenant_id!r}")
        self._tenant_id = tenant_id
        self._prefix = "".join(map(_encoded, tenant_id)) + ":"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = ENVIRONMENT) -> Self:
        """Take the tenant from `EPOCHLY_TENANT_ID`; unset or empty, it is `"default"`.

        Args:
            environ: the environment.
        """
        return cls(TENANT_ID.read(environ))

    @property
    def tenant_id(self) -> str:
        """The configured tenant, as it was given."""
        return self._tenant_id

    @property
    def prefix(self) -> str:
        """What every key of this tenant begins with, and no key of another does."""
        return self._prefix

    def namespace_key(self, key: str) -> str:
        """Return `key` in this tenant's namespace, `"{tenant_id}:{key}"` for an ordinary id."""
        return self._prefix + key

    def __repr__(self) -> str:
        return f"TenantIsolation({self._tenant_id!r})"


def _encoded(character: str) -> str:
    if character.isprintable() and not _RESERVED.match(character):
        return character
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
