"""What the SQL runs on: the two ways into a database."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    """The two ways into a database.

    Attributes:
        writer: its transactions read and write, and what they commit survives a loss of power.
        reader: its transactions only read, all from one moment.
        is_undone: whether nothing of a transaction can be committed any more, because a statement
            was refused; the database would take a COMMIT of it for a ROLLBACK, and say nothing.
        scrub: takes what was overwritten out of the files, where that can be done from here.
    """

    writer: Engine
    reader: Engine
    is_undone: Callable[[Connection], bool]
    scrub: Callable[[], None] = _nothing

    def dispose(self) -> None:
        """Close every connection; disposing twice is harmless."""
        self.reader.dispose()
        self.writer.dispose()
