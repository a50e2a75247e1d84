"""What escalating on a small model's own log-probabilities costs and gains.

Two local models answer short questions whose answers are known. The model of
`octomil.routing.confidence` is fitted on part of the small one's answers and judged on the rest
(cross-validation). The peer escalates as many answers at random.

The coefficients that all of the answers give are those that ship; they are printed with the table.
"""

import asyncio
import json
import re
from collections.abc import Sequence
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
from octomil.routing.confidence import SURE, WINDOW_TOKENS, features

COVERS = ("octomil/routing/confidence.py", "octomil/engines/llama_cpp")

SMALL, LARGE = "smollm2-135m", "qwen2.5-coder-1.5b"
QUESTIONS = Path(__file__).parent / "data" / "short_questions.tsv"
MAX_TOKENS = 48
_FOLDS, _REPEATS, _RIDGE = 5, 20, 1.0
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
    compute = _compute(small, large, held_out < SURE)
    return _rows(weak, strong, held_out, compute, fitted)


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


def _compute(
    small: Sequence[_Answer], large: Sequence[_Answer], escalated: NDArray[np.bool_]
) -> float:
    """Parameters times tokens written, as a share of what the large model alone would take."""
    sizes = [CATALOG[name].parameters for name in (SMALL, LARGE)]
    spent = 0.0
    for weak, strong, goes_on in zip(small, large, escalated, strict=True):
        tokens = len(weak.logprobs)
        spent += sizes[0] * (min(tokens, WINDOW_TOKENS) if goes_on else tokens)
        spent += sizes[1] * len(strong.logprobs) * bool(goes_on)
    return spent / (sizes[1] * sum(len(answer.logprobs) for answer in large))


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
