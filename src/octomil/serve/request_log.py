"""The log of requests: a line each, written a few at a time."""

import asyncio
from typing import TextIO

_DELAY_S = 0.05


class RequestLog:
    """Gathers lines for a moment and writes them at once: a write per request costs its tenth.

    Args:
        out: where lines go.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lines: list[str] = []

    def write(self, line: str) -> None:
        """Take a line, which ends in a line break; it is on its way within 50 ms."""
        self._lines.append(line)
        if len(self._lines) > 1:
            return
        try:
            asyncio.get_running_loop().call_later(_DELAY_S, self.flush)
        except RuntimeError:  # no loop is running, so nothing would flush later
            self.flush()

    def flush(self) -> None:
        """Write what is there."""
        lines, self._lines = self._lines, []
        if lines:
            self._out.write("".join(lines))
            self._out.flush()
