"""A connection to Postgres that waits for its server so long and no longer.

The server's own limits do not help where the server itself stands still, and neither do TCP's: its
machine goes on confirming what arrives.
"""

from collections.abc import Generator
from time import monotonic
from typing import Any, Final

import psycopg

PATIENCE_S: Final = 25.0


class PatientConnection(psycopg.Connection[Any]):
    """A connection that closes itself when its server does not answer.

    Attributes:
        patience_s: how long each statement may take; None for as long as it likes.
    """

    patience_s: float | None = PATIENCE_S

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **kwargs: Any) -> Any:
        """Go through with an exchange.

        Raises:
            psycopg.OperationalError: the server took too long.
        """
        if self.patience_s is not None:
            gen = self._in_time(gen, self.patience_s)
        return super().wait(gen, *args, **kwargs)

    def _in_time(
        self, exchange: Generator[Any, Any, Any], patience_s: float
    ) -> Generator[Any, Any, Any]:
        """Pass an exchange on; psycopg comes by ten times a second even if nothing arrives."""
        until_s = monotonic() + patience_s
        try:
            awaited = next(exchange)
            while True:
                happened = yield awaited
                if monotonic() > until_s:
                    self.close()
                    raise psycopg.OperationalError(
                        f"the server did not answer within {patience_s:g} s"
                    )
                awaited = exchange.send(happened)
        except StopIteration as end:
            return end.value
