"""Who owns things."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """Who owns things; everything else belongs to exactly one."""

    id: str
    name: str
    created_at: datetime
