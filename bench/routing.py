"""Routing: quality at a given cost by cross-validation, and what a decision costs.

The peer is the word count, which needs no training; the floor is chance. The quality rows need the
calibration data, which is not part of the repository: `OCTOMIL_CALIBRATION_DATA` names it.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from bench.report import ROOT, Budget, Row, median
from octomil.compose import build_node, fetch_models
from octomil.config import Settings
from octomil.routing.calibration.__main__ import shipped_rows
from octomil.routing.calibration.design import Design, design_of
from octomil.routing.calibration.fitting import each_topic
from octomil.routing.calibration.metrics import Floats, paired_difference, quality
from octomil.routing.calibration.report import words_of
from octomil.routing.calibration.validation import HeldOut, by_row, cross_validate
from octomil.routing.deterministic import DeterministicTier
from octomil.routing.router import QueryRouter
from octomil.routing.tiers import assign_tiers
from octomil.serve.node import AUTO
from octomil.serve.options import ServeOptions

COVERS = ("octomil/routing", "octomil/serve/node.py")

_DATA = Path(
    os.environ.get("OCTOMIL_CALIBRATION_DATA")
    or ROOT.parent / "shared" / "data" / "routing" / "calibration.jsonl.gz"
)
_OTHER_TOPICS = ("llmrouter",)
"""Rows of this topic are questions of another kind; they are learned from and not measured on."""

_SIZES = ((20, 30, None), (200, 30, None), (2_000, 50, 250), (20_000, None, None))
"""Characters, and the budgets of p50 and p99 in µs."""

_WHOLE_SIZES = ((200, 30), (2_000, 50))
"""Characters of a message that asks for one thing, and the budget of p50 in µs with the look for
more tasks in it: what `serve` calls."""

_SEVERAL_TASKS = (
    "Explain quantum computing and write a Python sort function",
    "Summarize the key points of attention mechanisms, then calculate 15% of 340",
    "What is the capital of Peru? Who wrote Hamlet? Name the noble gases.",
    "Write a haiku about tea and translate it to German",
)

_TURNS = 100
"""How many questions and answers come before a decision that looks back at them."""

_EARLIER = (
    "How far is it from Rome to Oslo by train in the summer?",
    "Is there a good museum for the two of you and me in Paris?",
    "You are right, thanks. I don't understand recursion as such.",
)

_ARITHMETIC = ("What is 2+2?", "What is 15% of 240?", "Convert 72°F to Celsius", "12 * (3 + 4)")
_PASSED = ("Where is the nearest café?", "Is 9/11 a date?", "Tell me about 3 blind mice.")
_HOSTILE = (
    "9" * 1_000_000,
    "(" * 100_000 + "1" + ")" * 100_000,
    "(" * 120 + "1" + ")" * 120,
    "9" * 250,
    "9**9**9**9",
    "2^(10^10)",
    "9^" * 120 + "9",
    "1" + "+1" * 125,
    "٣" * 250,
    "what is " * 30,
    "the value of " * 19,
)


_Messages = list[dict[str, str]]


def run(quick: bool) -> list[Row]:
    """Measure quality, if the data is here, then the time of a decision."""
    rows = _quality_rows(quick) if _DATA.exists() else [_missing()]
    return [*rows, *_decision_rows(quick), *_tier0_rows(quick)]


def _missing() -> Row:
    return Row(metric="quality", unit="", note="the calibration data is not on this machine")


def _quality_rows(quick: bool) -> list[Row]:
    rows = shipped_rows(_DATA)[:: 8 if quick else 1]
    exam_rows = [row for row in rows if row.topic not in _OTHER_TOPICS]
    is_exam = np.array([row.topic not in _OTHER_TOPICS for row in rows])
    design, exam = design_of(rows), _without_topics(design_of(exam_rows))
    unseen, seen = (cross_validate(design, folds(design)) for folds in (each_topic, by_row))
    among_exams = cross_validate(exam, by_row(exam))
    words = words_of(exam_rows)
    return [
        *_rows_of("topics never seen", unseen.scores[is_exam], words, exam.gain),
        *_rows_of("random folds", among_exams.scores, words, exam.gain),
        _share_row("topics never seen", unseen),
        _share_row("random folds", seen),
    ]


def _share_row(folds: str, held_out: HeldOut) -> Row:
    return Row(
        metric=f"share that reaches the strongest tier, {folds}",
        unit="%",
        ours=100 * held_out.strong_share,
        note="30 % were asked for, on all the calibration data",
    )


def _without_topics(design: Design) -> Design:
    return replace(design, topics=np.zeros_like(design.topics))


def _rows_of(folds: str, ours: Floats, words: Floats, gain: Floats) -> list[Row]:
    chance = np.random.default_rng(0).random(len(gain))
    found = [quality(scores, gain) for scores in (ours, words, chance)]
    low, high = paired_difference(ours, words, gain)
    note = f"ours less word count: 95 % interval {low:+.3f} to {high:+.3f} over {len(gain):,} rows"
    unseen = folds.startswith("topics")
    columns = {name: [getattr(each, name) for each in found] for name in ("apgr", "cpt50", "cpt80")}
    apgr, cpt50, cpt80 = columns["apgr"], columns["cpt50"], columns["cpt80"]
    return [
        Row(
            metric=f"APGR, {folds}", unit="", ours=apgr[0], peer=apgr[1], floor=apgr[2],
            higher_is_better=True, note=note,
            budget=Budget("ours", "at least", round(apgr[1] + 0.02, 4)) if unseen else None,
        ),
        Row(metric=f"CPT50, {folds}", unit="", ours=cpt50[0], peer=cpt50[1], floor=cpt50[2]),
        Row(metric=f"CPT80, {folds}", unit="", ours=cpt80[0], peer=cpt80[1], floor=cpt80[2]),
    ]  # fmt: skip


def _decision_rows(quick: bool) -> list[Row]:
    router = QueryRouter(assign_tiers(["small", "medium", "large"]))
    count = 100 if quick else 500
    rows = []
    for size, p50_us, p99_us in _SIZES:
        taken_us = _decision_us(router.route, size, count)
        rows += _latency_rows(f"decision, {size:,} characters", taken_us, p50_us, p99_us)
    for size, p50_us in _WHOLE_SIZES:
        taken_us = _decision_us(router.route_decomposed, size, count)
        name = f"decision with decomposition, {size:,} characters"
        rows += _latency_rows(name, taken_us, p50_us, None)
    tasks = [_asking(router.route_decomposed, text) for text in _SEVERAL_TASKS]
    rows += _latency_rows("decision for several tasks", _warm_us(tasks, count), None, None)
    for size, p50_us in _WHOLE_SIZES:
        name = f"decision by the node, {size:,} characters"
        rows += _latency_rows(name, _decision_us(_node_decision(), size, count), p50_us, None)
    for name, text in (("tier 0", _ARITHMETIC[0]), ("several tasks", _SEVERAL_TASKS[0])):
        late = partial(router.route_decomposed, _late_in_a_chat(text))
        taken_us = _warm_us([late], count // 2)
        rows += _latency_rows(f"decision after {_TURNS} turns, {name}", taken_us, 1_000, None)
    ask = _asking(router.route, _prompt(1_000_000, 0))
    rows += _latency_rows("decision, 1 MB", _taken_us([ask] * (20 if quick else 200)), 1_000, None)
    return rows


def _late_in_a_chat(text: str) -> _Messages:
    """Return a chat of short questions and long answers, which ends with a text."""
    turns = [
        {"role": role, "content": said}
        for turn in range(_TURNS)
        for role, said in (("user", _EARLIER[turn % len(_EARLIER)]), ("assistant", "x" * 600))
    ]
    return [*turns, {"role": "user", "content": text}]


def _node_decision() -> Callable[[_Messages], object]:
    """Return what `serve` asks of a node of three models, whose engines need not run for it."""
    settings = Settings.from_env({})
    options = ServeOptions(models=("echo:small", "echo:medium", "echo:large"), auto_route=True)
    node = build_node(settings, options, fetch_models(settings, options), log=None)
    return lambda messages: node.choose("chat/completions", {"messages": messages}, AUTO)


def _warm_us(asks: Sequence[Callable[[], object]], count: int) -> list[float]:
    return _taken_us([*asks] * (2 * count // len(asks)), warm_up=count)


def _decision_us(decide: Callable[[_Messages], object], size: int, count: int) -> list[float]:
    """Time `count` decisions on different prompts, after as many to warm up."""
    asks = [_asking(decide, _prompt(size, number)) for number in range(2 * count)]
    return _taken_us(asks, warm_up=count)


def _asking(decide: Callable[[_Messages], object], prompt: str) -> Callable[[], object]:
    return partial(decide, [{"role": "user", "content": prompt}])


def _prompt(size: int, number: int) -> str:
    """A text of English-like words with Zipf's frequencies, a new one for every number."""
    random = np.random.default_rng(number)
    letters = np.array(list("etaoinshrdlucmfwygpbvk"))
    lengths = np.random.default_rng(0).integers(2, 10, 3_000)
    words = np.minimum(random.zipf(1.3, size // 4 + 8), 3_000) - 1
    spelled = {
        int(word): "".join(np.random.default_rng(int(word)).choice(letters, lengths[word]))
        for word in set(words.tolist())
    }
    text = "Why does " + " ".join(spelled[int(word)] for word in words)
    return text[: size - 1] + "?"


def _taken_us(calls: Sequence[Callable[[], object]], *, warm_up: int = 1) -> list[float]:
    """Time calls; the first `warm_up` do not count, as a node has mostly run for a while."""
    taken: list[float] = []
    for call in calls:
        started_ns = time.perf_counter_ns()
        call()
        taken.append((time.perf_counter_ns() - started_ns) / 1000)
    return taken[warm_up:]


def _latency_rows(
    name: str, taken_us: list[float], p50_us: float | None, p99_us: float | None
) -> list[Row]:
    ordered = sorted(taken_us)
    at_99 = ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)]
    return [
        Row(
            metric=f"{name}, {part}",
            unit="µs",
            ours=value,
            budget=Budget("ours", "at most", limit) if limit else None,
        )
        for part, value, limit in (("p50", median(taken_us), p50_us), ("p99", at_99, p99_us))
    ]


def _tier0_rows(quick: bool) -> list[Row]:
    """Without its memory of answers, which would hide the work."""
    tier = DeterministicTier(0)
    repeats = 50 if quick else 400
    rows = []
    for name, texts in (("answered", _ARITHMETIC), ("passed", _PASSED)):
        taken_us = _taken_us([partial(tier.check, text) for text in texts] * repeats, warm_up=20)
        rows += _latency_rows(f"tier 0, {name}", taken_us, 30, None)
    worst_us = max(min(_taken_us([partial(tier.check, text)] * 4)) for text in _HOSTILE)
    budget = Budget("ours", "at most", 10)
    name = "tier 0, worst hostile input"
    return [*rows, Row(metric=name, unit="ms", ours=worst_us / 1000, budget=budget)]
