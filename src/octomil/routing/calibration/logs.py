"""Calibration rows: a prompt, and how well a weak and a strong model answered it.

A log has one JSON object per line, plain or gzipped:

    {"prompt": "Why is the sky blue?", "weak": 0.4, "strong": 1.0, "topic": "physics"}

`prompt` is the user's message, `weak` and `strong` are scores between 0 and 1 (right or wrong,
a judge's mark, a thumb), and `topic` is optional. Where rows have topics, the model is judged on
topics that it has not seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octomil.errors import ConfigurationError
from octomil.routing.calibration.lines import JsonLines

MIN_ROWS = 100
"""With fewer, the share of strong calls is off by more than ten points half of the time."""


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt and its outcome; scores from 0 to 1."""

    prompt: str
    weak: float
    strong: float
    topic: str | None = None


def row_log(path: Path, *, strict: bool = False) -> JsonLines[Row]:
    """Return the rows of a file as a log; see `JsonLines`."""
    return JsonLines(path, _row, strict=strict)


def read_log(log: JsonLines[Row]) -> list[Row]:
    """Read a log.

    Raises:
        ConfigurationError: it cannot be read, its lines are not as described above, there are fewer
            than `MIN_ROWS` rows, or the strong model is no better than the weak one.
    """
    rows = list(log)
    if len(rows) < MIN_ROWS:
        raise ConfigurationError(
            f"{log.path} has {len(rows)} rows; calibration needs at least {MIN_ROWS}"
        )
    if sum(row.strong - row.weak for row in rows) <= 0:
        raise ConfigurationError(
            f"{log.path}: the strong model is no better than the weak one on the whole, so there "
            "is nothing to route by; are the two scores swapped?"
        )
    return rows


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
