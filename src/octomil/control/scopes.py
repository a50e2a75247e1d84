"""Scopes: what a key or a token may be good for. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

ALL_SCOPES: Final = "*"
DEVICES_READ: Final = "devices:read"
DEVICES_WRITE: Final = "devices:write"
DEVICES_REGISTER: Final = "devices:register"
MODELS_READ: Final = "models:read"
MODELS_WRITE: Final = "models:write"
ROLLOUTS_READ: Final = "rollouts:read"
ROLLOUTS_WRITE: Final = "rollouts:write"
TRAINING_READ: Final = "training:read"
TRAINING_WRITE: Final = "training:write"
INFERENCE: Final = "inference:use"
WEBHOOKS_READ: Final = "webhooks:read"
WEBHOOKS_WRITE: Final = "webhooks:write"
KEYS_READ: Final = "keys:read"
KEYS_WRITE: Final = "keys:write"
AUDIT_READ: Final = "audit:read"
ORGANISATION_READ: Final = "organisation:read"
SIGNING_KEYS_WRITE: Final = "signing-keys:write"
INSTALLATION: Final = "installation:admin"

SCOPES: Mapping[str, str] = {
    ALL_SCOPES: "everything in the key's organisation: all of these but `installation:admin`",
    DEVICES_READ: "see devices",
    DEVICES_WRITE: "register, change and revoke devices, and make bootstrap tokens",
    DEVICES_REGISTER: "register devices and get them their first tokens, no more",
    MODELS_READ: "see and download models",
    MODELS_WRITE: "make, upload, publish and delete models",
    ROLLOUTS_READ: "see rollouts",
    ROLLOUTS_WRITE: "begin, steer and end rollouts",
    TRAINING_READ: "see rounds and federations",
    TRAINING_WRITE: "begin rounds, and take part in them",
    INFERENCE: "ask models, and where they are to run",
    WEBHOOKS_READ: "see webhooks",
    WEBHOOKS_WRITE: "make and delete webhooks",
    KEYS_READ: "see keys, without their text",
    KEYS_WRITE: "make, rotate and revoke keys that have no more scopes than one's own",
    AUDIT_READ: "see what was done",
    ORGANISATION_READ: "see one's own organisation",
    SIGNING_KEYS_WRITE: "let a new key sign the manifests of versions",
    INSTALLATION: "make organisations and see all of them",
}
"""Every scope, and what it lets its holder do."""

DEVICE_SCOPES: frozenset[str] = frozenset(
    {
        DEVICES_READ, DEVICES_WRITE, DEVICES_REGISTER, MODELS_READ, ROLLOUTS_READ,
        TRAINING_READ, TRAINING_WRITE, INFERENCE,
    }
)  # fmt: skip
"""What a device's token may be good for: a device that was taken over must not make keys."""

_IMPLIED = {DEVICES_REGISTER: DEVICES_WRITE}


def covers(held: Iterable[str], scope: str) -> bool:
    """Tell whether who holds some scopes has another.

    Example:
        >>> covers(["devices:write"], "devices:register"), covers(["*"], "installation:admin")
        (True, False)
    """
    found = set(held)
    if scope in found or _IMPLIED.get(scope) in found:
        return True
    return ALL_SCOPES in found and scope != INSTALLATION
