"""Make the coefficients that ship: `python -m octomil.routing.calibration DATA [OUT]`.

DATA has one JSON object per line: "prompt", "topic" (or null) and "scores", a score by model, from
two sources. Exam questions carry the scores of one weak and one strong model; the others those of
several small and several large ones, whose means are taken.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from octomil.routing.calibration.design import design_of
from octomil.routing.calibration.lines import JsonLines
from octomil.routing.calibration.logs import Row
from octomil.routing.calibration.validation import calibrate
from octomil.routing.coefficients import SHIPPED

WEAK = (
    "mixtral-8x7b-instruct-v0.1",
    "codegemma-7b",
    "gemma-2-9b-it",
    "llama-3.1-8b-instruct",
    "llama3-chatqa-1.5-8b",
    "mistral-7b-instruct-v0.3",
    "qwen2.5-7b-instruct",
)
STRONG = (
    "gpt-4-1106-preview",
    "llama-3.1-nemotron-51b-instruct",
    "llama-3.3-nemotron-super-49b-v1",
    "llama3-chatqa-1.5-70b",
)


def shipped_rows(path: Path) -> list[Row]:
    """Read the calibration data; prompts that name no topic share one."""
    return list(JsonLines(path, _shipped_row, strict=True))


def _shipped_row(record: Mapping[str, Any]) -> Row:
    scores = record["scores"]
    topic = record["topic"] or record["source"]
    return Row(record["prompt"], _mean(scores, WEAK), _mean(scores, STRONG), topic)


def _mean(scores: Mapping[str, float], models: Sequence[str]) -> float:
    known = [scores[model] for model in models if model in scores]
    return sum(known) / len(known)


def main() -> None:
    """Fit, and write the file."""
    source, *rest = map(Path, sys.argv[1:])
    target = rest[0] if rest else SHIPPED
    target.write_bytes(calibrate(design_of(shipped_rows(source))).to_bytes())


if __name__ == "__main__":
    main()
