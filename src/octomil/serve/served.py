"""A model that clients can name."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A model clients can name.

    Attributes:
        name: the name requests use.
        parameters: how many it has; None where unknown.
        owned_by: what runs it, for `/v1/models`.
        local: whether this machine runs it, so that its speed can be measured at no price.
    """

    name: str
    parameters: int | None = None
    owned_by: str = "octomil"
    local: bool = True
