"""What escalating on a small model's own log-probabilities costs and gains.

Two local models answer short questions whose answers are known. The model of
`octomil.routing.confidence` is fitted on part of the small one's answers and judged on the rest
(cross-validation). The peer escalates as many answers at random.

At equal compute, it is compared as well with routing before any model is asked, by the score alone.

The coefficients that all of the answers give are those that ship; they are printed with the table.
"""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.report import Row
from octomil.config import Settings
from octomil.engines.base import GenerationRequest
from octomil.engines.llama_cpp.engine import LlamaCppEngine
from octomil.engines.llama_cpp.spec import WorkerSpec
from octomil.models.catalog import CATALOG
from octomil.models.pull import ModelStore
from octomil.routing.complexity import score
from octomil.routing.confidence import SURE, WINDOW_TOKENS, features

COVERS = (
    "octomil/routing/confidence.py",
    "octomil/routing/complexity.py",
    "octomil/engines/llama_cpp",
)

SMALL, LARGE = "smollm2-135m", "qwen2.5-coder-1.5b"
QUESTIONS = Path(__file__).parent / "data" / "short_questions.tsv"
MAX_TOKENS = 48
_FOLDS, _REPEATS, _RIDGE = 5, 20, 1.0
_COMPUTE_SHARES = (0.25, 0.5, 0.75)
_BINS = (0.2, 0.4, 0.6, 0.8)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Answer:
    """One model's answer to one question."""

    is_right: bool
    logprobs: list[float]


def run(quick: bool) -> list[Row]:
    """Ask both models, then fit, cross-validate and judge."""
    questions = read_questions()[: 24 if quick else None]
    small, large = (asyncio.run(_ask_all(model, questions)) for model in (SMALL, LARGE))
    weak = np.array([answer.is_right for answer in small], float)
    strong = np.array([answer.is_right for answer in large], float)
    table = np.array([features(answer.logprobs) for answer in small])
    held_out = _cross_validated(table, weak)
    bias, *weights = _fit(table, weak)
    fitted = ", ".join(f"{value:.3f}" for value in (bias, *weights))
    spent = _Compute.of(small, large)
    scores = np.array([score([_message(question)]) for question, _ in questions])
    rows = _rows(weak, strong, held_out, spent.escalating(held_out < SURE), fitted)
    return [*rows, *_at_equal_compute(weak, strong, held_out, scores, spent)]


def read_questions() -> list[tuple[str, str]]:
    """Questions, and for each a pattern that a right answer contains."""
    lines = QUESTIONS.read_text(encoding="utf-8").splitlines()
    return [(question, pattern) for question, pattern in (line.split("\t") for line in lines)]


def is_right(text: str, pattern: str) -> bool:
    """Whether one of the alternatives in `pattern` stands in `text` as a word of its own."""
    alternatives = (p if "\\b" in p else re.escape(p) for p in pattern.split("|"))
    return re.search(rf"(?<!\w)(?:{'|'.join(alternatives)})", text, re.IGNORECASE) is not None


async def _ask_all(model: str, questions: Sequence[tuple[str, str]]) -> list[_Answer]:
    path = ModelStore(Settings.from_env()).pull(model).path
    spec = WorkerSpec(name=model, path=path, slots=2, context_tokens=1024, threads=1, cache_mib=0)
    engine = LlamaCppEngine(spec)
    await engine.load(print)
    turns = asyncio.Semaphore(spec.slots)

    async def ask(question: str, pattern: str) -> _Answer:
        body = {
            "messages": [{"role": "user", "content": question}],
            "temperature": 0,
            "max_tokens": MAX_TOKENS,
            "logprobs": True,
        }
        async with turns:
            completion = await engine.generate(GenerationRequest("chat/completions", body))
        choice = json.loads(completion.body)["choices"][0]
        logprobs = [token["logprob"] for token in choice["logprobs"]["content"]]
        return _Answer(is_right(choice["message"]["content"], pattern), logprobs)

    try:
        return await asyncio.gather(*(ask(*question) for question in questions))
    finally:
        await engine.close()


def _fit(table: Floats, right: Floats) -> Floats:
    """Fit a logistic regression with a ridge by Newton's method; bias first, in plain units."""
    mean, spread = table.mean(0), table.std(0)
    rows = np.c_[np.ones(len(table)), (table - mean) / spread]
    ridge = np.diag([1e-9] + [_RIDGE] * table.shape[1])
    weights = np.zeros(rows.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (chance - right) + ridge @ weights
        curvature = (rows * (chance * (1 - chance))[:, None]).T @ rows + ridge
        weights -= np.linalg.solve(curvature, slope)
    plain = weights[1:] / spread
    fitted: Floats = np.concatenate([[weights[0] - plain @ mean], plain])
    return fitted


def _cross_validated(table: Floats, right: Floats) -> Floats:
    """Probabilities for each answer by models that have not seen it, averaged over shuffles."""
    rng = np.random.default_rng(0)
    total = np.zeros(len(right))
    for _ in range(_REPEATS):
        order = rng.permutation(len(right))
        for fold in range(_FOLDS):
            left_out = order[fold::_FOLDS]
            seen = np.setdiff1d(order, left_out)
            bias, *weights = _fit(table[seen], right[seen])
            total[left_out] += 1 / (1 + np.exp(-(bias + table[left_out] @ np.array(weights))))
    return total / _REPEATS


@dataclass(frozen=True)
class _Compute:
    """Parameters times tokens written for each question, over what the large model alone takes.

    Attributes:
        small: the small model's whole answers.
        begun: the part of them that decides whether they stand.
        large: the large model's answers; they sum to 1.
    """

    small: Floats
    begun: Floats
    large: Floats

    @classmethod
    def of(cls, small: Sequence[_Answer], large: Sequence[_Answer]) -> "_Compute":
        sizes = [float(CATALOG[name].parameters or 0) for name in (SMALL, LARGE)]
        weak, strong = (
            np.array([len(answer.logprobs) for answer in answers], float)
            for answers in (small, large)
        )
        whole = sizes[1] * strong.sum()
        begun = np.minimum(weak, WINDOW_TOKENS)
        return cls(sizes[0] * weak / whole, sizes[0] * begun / whole, sizes[1] * strong / whole)

    def escalating(self, goes_on: NDArray[np.bool_]) -> float:
        """Return what escalating some answers takes: the small model begins every one."""
        return float(np.where(goes_on, self.begun + self.large, self.small).sum())

    def routing_first(self, to_large: NDArray[np.bool_]) -> float:
        """Return what it takes to send some questions to the large model at once."""
        return float(np.where(to_large, self.large, self.small).sum())


def _message(question: str) -> dict[str, str]:
    return {"role": "user", "content": question}


def _at_equal_compute(
    weak: Floats, strong: Floats, held_out: Floats, scores: Floats, spent: _Compute
) -> list[Row]:
    """Compare escalating with routing by the score alone, which asks one model only.

    Each orders the questions; as many of them go to the large model as the compute is enough for.
    """
    ways = (
        ("escalating", -held_out, spent.escalating),
        ("routed by the score alone", scores, spent.routing_first),
    )
    return [
        Row(
            metric=f"right answers at {100 * share:.0f} % of the compute, {name}",
            unit="%",
            ours=100 * _right_at(_curve(order_by, weak, strong, compute), share),
            peer=100 * _right_at(_ends(weak, strong, compute), share),
            floor=100 * float(weak.mean()),
            higher_is_better=True,
        )
        for share in _COMPUTE_SHARES
        for name, order_by, compute in ways
    ]


def _ends(
    weak: Floats, strong: Floats, compute: Callable[[NDArray[np.bool_]], float]
) -> list[tuple[float, float]]:
    """Return the points of `_curve` where none and where all go on; chance lies between them."""
    none, every = np.zeros(len(weak), bool), np.ones(len(weak), bool)
    return [(compute(none), float(weak.mean())), (compute(every), float(strong.mean()))]


def _curve(
    order_by: Floats,
    weak: Floats,
    strong: Floats,
    compute: Callable[[NDArray[np.bool_]], float],
) -> list[tuple[float, float]]:
    """Return (compute, share of right answers) as more and more go on, the highest first."""
    order = np.argsort(-order_by, kind="stable")
    goes_on = np.zeros(len(order), bool)
    points = [(compute(goes_on), float(weak.mean()))]
    for place in order:
        goes_on[place] = True
        points.append((compute(goes_on), float(np.where(goes_on, strong, weak).mean())))
    return points


def _right_at(points: Sequence[tuple[float, float]], compute: float) -> float:
    """Return the share of right answers where the compute is used up, between points linearly."""
    spent, right = zip(*sorted(points), strict=True)
    return float(np.interp(compute, spent, right))


def _rows(weak: Floats, strong: Floats, held_out: Floats, compute: float, fitted: str) -> list[Row]:
    escalated = held_out < SURE
    share = float(escalated.mean())
    quality = float(np.where(escalated, strong, weak).mean())
    at_random = float(weak.mean() + share * (strong - weak).mean())
    curve = _recovered(weak, strong, held_out)
    return [
        Row(
            metric="right answers, escalating below the threshold",
            unit="%",
            ours=100 * quality,
            peer=100 * at_random,
            floor=100 * float(weak.mean()),
            higher_is_better=True,
            note=(
                f"{len(weak)} questions; the floor is {SMALL} alone, {LARGE} alone has"
                f" {100 * strong.mean():.1f} %; threshold {SURE}, first {WINDOW_TOKENS} tokens"
            ),
        ),
        Row(metric="share escalated at that threshold", unit="%", ours=100 * share),
        Row(
            metric="compute at that threshold",
            unit="%",
            ours=100 * compute,
            note=f"parameters times tokens written; {LARGE} alone takes 100 %",
        ),
        Row(
            metric="APGR, cross-validated",
            unit="",
            ours=_area(curve),
            peer=0.5,
            higher_is_better=True,
            note=f"the coefficients that all the answers give: {fitted}",
        ),
        Row(metric="CPT50, cross-validated", unit="%", ours=100 * _share_for(curve, 0.5), peer=50),
        Row(metric="CPT80, cross-validated", unit="%", ours=100 * _share_for(curve, 0.8), peer=80),
        Row(
            metric="AUC of the probability, cross-validated",
            unit="",
            ours=_auc(held_out, weak),
            peer=0.5,
            higher_is_better=True,
        ),
        Row(
            metric="expected calibration error, cross-validated",
            unit="",
            ours=_calibration_error(held_out, weak),
        ),
    ]


def _recovered(weak: Floats, strong: Floats, sure: Floats) -> Floats:
    """Performance gap recovered after 0 to all answers were escalated, the least sure first."""
    gain = strong - weak
    in_order = gain[np.argsort(sure, kind="stable")]
    recovered: Floats = np.concatenate([[0.0], np.cumsum(in_order)]) / gain.sum()
    return recovered


def _area(curve: Floats) -> float:
    return float(np.trapezoid(curve, dx=1 / (len(curve) - 1)))


def _share_for(curve: Floats, recovered: float) -> float:
    return float(np.argmax(curve >= recovered)) / (len(curve) - 1)


def _auc(score: Floats, right: Floats) -> float:
    higher, lower = score[right == 1, None], score[right == 0]
    return float((higher > lower).mean() + 0.5 * (higher == lower).mean())


def _calibration_error(score: Floats, right: Floats) -> float:
    """Distance of stated from seen probability, averaged over equal bins by their share."""
    place = np.digitize(score, _BINS)
    members = (place == number for number in range(len(_BINS) + 1))
    return sum(
        float(abs(score[inside].mean() - right[inside].mean()) * inside.mean())
        for inside in members
        if inside.any()
    )
