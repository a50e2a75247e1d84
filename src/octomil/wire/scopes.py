"""The names of scopes, for the OpenAPI document; `control.scopes` says what each is good for."""

from typing import Final

SCOPE_NAMES: Final = (
    "*",
    "devices:read",
    "devices:write",
    "devices:register",
    "models:read",
    "models:write",
    "rollouts:read",
    "rollouts:write",
    "training:read",
    "training:write",
    "inference:use",
    "webhooks:read",
    "webhooks:write",
    "keys:read",
    "keys:write",
    "audit:read",
    "organisation:read",
    "signing-keys:write",
    "installation:admin",
)
"""Every scope."""

DEVICE_SCOPE_NAMES: Final = (
    "devices:read",
    "devices:write",
    "devices:register",
    "models:read",
    "rollouts:read",
    "training:read",
    "training:write",
    "inference:use",
)
"""What a device's token may be good for."""
