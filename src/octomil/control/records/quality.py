"""How generations went: what the events of clients add up to."""

from dataclasses import dataclass
from datetime import datetime

from octomil.quality.tallies import Tally


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """What generations are counted by.

    Attributes:
        model_id: whatever the client calls the model.
        version: whatever it calls the version.
        device_class: of the device that generated, or asked for it.
    """

    model_id: str
    version: str
    device_class: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A subject that events came of.

    Attributes:
        first_at: when the first came.
    """

    subject: Subject
    first_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What became of a subject's generations from one moment on, for a minute or an hour."""

    subject: Subject
    began_at: datetime
    tally: Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRange:
    """Which stretches of a model are asked for.

    Attributes:
        since: the first moment at which one may begin.
        until: the first moment after that.
        versions: of these alone; None for all.
        device_class: of this one alone; None for all.
    """

    model_id: str
    since: datetime
    until: datetime
    versions: frozenset[str] | None = None
    device_class: str | None = None
