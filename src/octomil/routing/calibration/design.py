"""Prompts as rows of a regression, taken apart by the very code that scores them later."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np

from octomil.routing import features
from octomil.routing.calibration.logs import Row
from octomil.routing.calibration.metrics import Flags, Floats, Ints
from octomil.routing.complexity import trust_in
from octomil.routing.features import STYLE, Prompt

BUCKETS = 1 << 14
"""Places for n-grams. More bring nothing on 12,000 prompts, fewer cost about .005 APGR."""

MAX_TOPIC_ROWS = 500
"""A topic with more rows counts as if it had as many: routing must hold on topics yet unseen."""


@dataclass(frozen=True)
class Design:
    """The rows of a log, ready for a regression.

    Attributes:
        prompts: as the scorer reads them.
        gain: shape (n,), strong minus weak.
        topics: shape (n,), the number of each row's topic; all 0 where the log names none.
        style: shape (n, len(STYLE)).
        trust: shape (n,), how much each row's learned part counts, 0 to 1.
        row, bucket, value: the non-zero n-gram entries, in order of `row`.
    """

    prompts: Sequence[Prompt]
    gain: Floats
    topics: Ints
    style: Floats
    trust: Floats
    row: Ints
    bucket: Ints
    value: Floats

    @property
    def topic_count(self) -> int:
        """How many topics the log names; 1 where it names none."""
        return int(self.topics.max()) + 1

    def weights(self, used: Flags) -> Floats:
        """Return what each row counts: 0 if it is not `used`, less than 1 in a large topic."""
        sizes = np.bincount(self.topics[used], minlength=self.topic_count)
        if self.topic_count == 1:
            return used.astype(float)
        counts = np.minimum(1.0, MAX_TOPIC_ROWS / np.maximum(sizes, 1))
        return used.astype(float) * counts[self.topics]

    def prompts_of(self, used: Flags) -> list[Prompt]:
        """Return the prompts of the rows that are `used`."""
        return list(compress(self.prompts, used.tolist()))

    def grams_times(self, weights: Floats) -> Floats:
        """Return the product of the n-gram matrix with a vector of `BUCKETS` weights."""
        return np.bincount(self.row, self.value * weights[self.bucket], len(self.gain)).astype(
            float
        )

    def grams_transposed_times(self, rows: Floats) -> Floats:
        """Return the product of the transposed n-gram matrix with a vector over rows."""
        return np.bincount(self.bucket, self.value * rows[self.row], BUCKETS).astype(float)


def design_of(rows: Sequence[Row]) -> Design:
    """Take the prompts of a log apart."""
    prompts = [features.read(row.prompt) for row in rows]
    names = sorted({row.topic or "" for row in rows})
    number = {name: at for at, name in enumerate(names)}
    entries = [_entries(prompt) for prompt in prompts]
    counts = np.array([len(places) for places, _ in entries])
    return Design(
        prompts=prompts,
        gain=np.array([row.strong - row.weak for row in rows]),
        topics=np.array([number[row.topic or ""] for row in rows]),
        style=np.array([_style(prompt) for prompt in prompts]),
        trust=np.array([trust_in(prompt) for prompt in prompts]),
        row=np.repeat(np.arange(len(rows)), counts),
        bucket=np.array([place for places, _ in entries for place in places], dtype=np.int64),
        value=np.repeat(np.array([value for _, value in entries]), counts),
    )


def _style(prompt: Prompt) -> tuple[float, ...]:
    if not prompt.distinct:
        return (0.0,) * len(STYLE)
    words = [features.word_style(word) for word in prompt.distinct]
    shares = (sum(column) / len(words) for column in zip(*words, strict=True))
    return (*features.text_style(prompt), *shares)


def _entries(prompt: Prompt) -> tuple[list[int], float]:
    """Return the places of a prompt's n-grams, and the value that all of them share."""
    if not prompt.distinct:
        return [], 0.0
    first = [features.code_of(word, BUCKETS) for word in prompt.tokens]
    second = [features.second_code_of(word, BUCKETS) for word in prompt.tokens]
    places = [features.code_of(word, BUCKETS) for word in prompt.distinct]
    places += features.pair_buckets(first, second)
    return places, trust_in(prompt) / float(np.sqrt(len(places)))
