"""Calibration rows: a prompt, and how well a weak and a strong model answered it.

A log has one JSON object per line, plain or gzipped:

    {"prompt": "Why is the sky blue?", "weak": 0.4, "strong": 1.0, "topic": "physics"}

`prompt` is the user's message, `weak` and `strong` are scores between 0 and 1 (right or wrong,
a judge's mark, a thumb), and `topic` is optional. Where rows have topics, the model is judged on
topics that it has not seen.
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from octomil.errors import ConfigurationError

_GZIP = b"\x1f\x8b"
_LINE_BYTES = 4 << 20
MIN_ROWS = 100
"""With fewer, the share of strong calls is off by more than ten points half of the time."""


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt and its outcome; scores from 0 to 1."""

    prompt: str
    weak: float
    strong: float
    topic: str | None = None


def read_log(path: Path) -> list[Row]:
    """Read a log.

    Raises:
        ConfigurationError: it cannot be read, a line is not as described above, there are fewer
            than `MIN_ROWS` rows, or the strong model is no better than the weak one.
    """
    rows = []
    for number, record in records(path):
        try:
            rows.append(_row(record))
        except ValueError as error:
            raise ConfigurationError(f"{path}, line {number}: {error}") from None
    if len(rows) < MIN_ROWS:
        raise ConfigurationError(
            f"{path} has {len(rows)} rows; calibration needs at least {MIN_ROWS}"
        )
    if sum(row.strong - row.weak for row in rows) <= 0:
        raise ConfigurationError(
            f"{path}: the strong model is no better than the weak one on the whole, so there is "
            "nothing to route by; are the two scores swapped?"
        )
    return rows


def records(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the number and the value of every line that is not blank.

    Raises:
        ConfigurationError: the file cannot be read, or a line is no JSON.
    """
    number = 0
    try:
        with path.open("rb") as raw:
            is_gzip = raw.read(2) == _GZIP
            raw.seek(0)
            lines: gzip.GzipFile | BufferedReader = gzip.GzipFile(fileobj=raw) if is_gzip else raw
            while line := lines.readline(_LINE_BYTES + 1):
                number += 1
                if len(line) > _LINE_BYTES:
                    raise ConfigurationError(f"{path}, line {number}: longer than 4 MiB")
                if line.strip():
                    yield number, json.loads(line)
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigurationError(f"cannot read {path}: {error}") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(f"{path}, line {number}: not JSON ({error})") from None


def _row(record: Any) -> Row:
    if not isinstance(record, Mapping):
        raise ValueError('expected an object such as {"prompt": "…", "weak": 0, "strong": 1}')  # noqa: TRY004 - the value is at fault, in a file
    prompt, topic = record.get("prompt"), record.get("topic")
    if not isinstance(prompt, str) or not prompt.strip():
        raise ValueError('"prompt" must be a text that is not empty')
    if topic is not None and not isinstance(topic, str):
        raise ValueError('"topic" must be a text, or be left out')
    return Row(prompt, _score(record, "weak"), _score(record, "strong"), topic)


def _score(record: Mapping[str, Any], name: str) -> float:
    if name not in record:
        raise ValueError(f'"{name}" is missing')
    value = record[name]
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise ValueError(f'"{name}" must be a number between 0 and 1, got {value!r}')
    return float(value)
