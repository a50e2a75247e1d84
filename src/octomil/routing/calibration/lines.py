"""A log of one JSON object per line, read for what makes sense in it.

Gateways write such logs for years and die in the middle of a line. So a line that makes no sense is
left out and counted, unless so many are that the file is not what it is taken for.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, Generic, TypeVar

from octomil.errors import ConfigurationError

T = TypeVar("T")

MAX_SKIPPED_SHARE = 0.1
"""The share of lines that may make no sense; with more, the file is taken for something else."""

_GZIP = b"\x1f\x8b"
_LINE_BYTES = 4 << 20


class JsonLines(Generic[T]):
    """The lines of a file, plain or gzipped, each made a value. It is read anew each time.

    Args:
        path: the file.
        parse: makes a value of a line's JSON, and raises a `ValueError` where that makes no sense.
        strict: whether the first line that makes no sense is an error.

    Attributes:
        path: the file.
        skipped: lines that made no sense, when it was last read.
        first_fault: the first of them and what is wrong with it, for people.
    """

    def __init__(self, path: Path, parse: Callable[[Any], T], *, strict: bool = False) -> None:
        self.path = path
        self.skipped = 0
        self.first_fault = ""
        self._parse = parse
        self._strict = strict

    def __iter__(self) -> Iterator[T]:
        """Yield the values in the order of the file; lines that are blank are no lines.

        Raises:
            ConfigurationError: the file cannot be read, or a line makes no sense and the log is
                strict, or more than `MAX_SKIPPED_SHARE` of the lines make none.
        """
        self.skipped, self.first_fault, sound = 0, "", 0
        for number, line in _lines(self.path):
            try:
                value = self._parse(_decode(line))
            except ValueError as error:
                self._skip(f"line {number}: {error}")
                continue
            sound += 1
            yield value
        if self.skipped > MAX_SKIPPED_SHARE * (sound + self.skipped):
            raise ConfigurationError(
                f"{self.path}, {self.first_fault}; {self.skipped} of {sound + self.skipped} lines "
                f"make no sense, more than {MAX_SKIPPED_SHARE:.0%}"
            )

    def _skip(self, fault: str) -> None:
        if self._strict:
            raise ConfigurationError(f"{self.path}, {fault}") from None
        self.skipped += 1
        self.first_fault = self.first_fault or fault


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the bytes of every line that is not blank; of a long one the beginning.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    number = 0
    try:
        with path.open("rb") as raw:
            is_gzip = raw.read(2) == _GZIP
            raw.seek(0)
            lines: gzip.GzipFile | BufferedReader = gzip.GzipFile(fileobj=raw) if is_gzip else raw
            while line := lines.readline(_LINE_BYTES + 1):
                number += 1
                rest = line
                while len(rest) > _LINE_BYTES and not rest.endswith(b"\n"):
                    rest = lines.readline(_LINE_BYTES + 1)
                if line.strip():
                    yield number, line
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigurationError(f"cannot read {path}: {error}") from error


def _decode(line: bytes) -> Any:
    if len(line) > _LINE_BYTES:
        raise ValueError("longer than 4 MiB")
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error})") from None
