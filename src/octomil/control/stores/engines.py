"""What the SQL runs on: the two ways into a database."""

from dataclasses import dataclass

from sqlalchemy import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    """The two ways into a database.

    Attributes:
        writer: its transactions read and write, and what they commit survives a loss of power.
        reader: its transactions only read, all from one moment.
    """

    writer: Engine
    reader: Engine

    def dispose(self) -> None:
        """Close every connection; disposing twice is harmless."""
        self.reader.dispose()
        self.writer.dispose()
