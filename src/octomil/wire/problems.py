"""How the control plane tells of an error."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """The body of every answer from 400 up.

    Attributes:
        error: a code of `octomil.errors.API_ERRORS`.
        message: the value at fault and the next step, for people.
        status_code: the answer's HTTP status.
        request_id: what to ask the operator about.
        details: more, by code.
    """

    error: str
    message: str
    status_code: int
    request_id: str
    details: dict[str, Any] = field(default_factory=dict)
