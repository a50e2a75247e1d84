"""What is noted for the audit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something done to an organisation's things, for the audit.

    Attributes:
        actor: who did it, such as `key:…` or `device:…`.
        operation: what was done, such as `device.register`.
        target: the id of what it was done to.
        details: JSON values.
    """

    actor: str
    operation: str
    target: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotedAct:
    """An act in its place in the audit.

    Attributes:
        sequence: its number, from 1, without gaps.
        entry: what was noted, as JSON values.
        digest: 32 bytes over the entry, its place, and the digest before it.
    """

    sequence: int
    entry: Mapping[str, Any]
    digest: bytes
