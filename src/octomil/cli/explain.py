"""`octomil route explain`: why a text goes where it goes."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from octomil.models.references import split_names
from octomil.routing.complexity import Explanation, scorer
from octomil.routing.decompose import SubTask
from octomil.routing.router import DecomposedDecision, QueryRouter, RoutingDecision
from octomil.routing.tiers import assign_tiers

_TIERS = ("fast", "balanced", "quality")

_NAMES = {
    "words": "word count",
    "vocabulary": "technical vocabulary",
    "code": "code",
    "depth": "conversation depth",
    "instructions": "system prompt",
    "reasoning": "asks for reasoning",
    "simple": "small talk, short fact",
    "style": "style (learned)",
    "wording": "wording (learned)",
}


@dataclass(frozen=True, slots=True)
class _Found:
    """A decision and what it rests on.

    Attributes:
        decision: what the router said.
        explanation: why the text, or the hardest of its tasks, has the score it has.
        taken_us: how long the decision took, in microseconds.
        named: whether the models are the user's, rather than one for each tier.
    """

    decision: RoutingDecision
    explanation: Explanation
    taken_us: float
    named: bool

    @property
    def is_exact(self) -> bool:
        """Tell whether no model is needed, neither for the text nor for any of its tasks."""
        return self.decision.tier_number == 0

    @property
    def tasks(self) -> list[tuple[SubTask, RoutingDecision]]:
        """What the text asks for, and where each goes; nothing where it asks for one thing."""
        decision = self.decision
        if not isinstance(decision, DecomposedDecision):
            return []
        return list(zip(decision.tasks, decision.sub_decisions, strict=True))


@click.command("explain")
@click.argument("text")
@click.option("--models", metavar="A,B,C", help="Models to choose from, smallest first.")
@click.option("--system", metavar="TEXT", help="A system prompt that comes before it.")
@click.option(
    "--model-path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A file written by `calibrate`.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def explain(
    text: str, models: str | None, system: str | None, model_path: Path | None, *, as_json: bool
) -> None:
    """Tell where TEXT would go, and why.

    Where TEXT asks for several things, each task is told; score and signals are then those of the
    hardest. Each contribution is the score less what it would be without that signal; they need not
    add up, because the score has a floor and a ceiling.
    """
    names = split_names([models]) if models else list(_TIERS)
    router = QueryRouter(assign_tiers(names), model_path=model_path)
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": text})
    router.route_decomposed(messages)  # once to warm up: the time is that of a running node
    started_ns = time.perf_counter_ns()
    decision = router.route_decomposed(messages)
    taken_us = (time.perf_counter_ns() - started_ns) / 1000
    explanation = scorer(model_path).explain(_decisive(messages, decision))
    found = _Found(decision, explanation, taken_us, named=bool(models))
    click.echo(json.dumps(_as_json(found), indent=2) if as_json else "\n".join(_lines(found)))


def _decisive(
    messages: Sequence[dict[str, str]], decision: RoutingDecision
) -> list[dict[str, str]]:
    """Return the messages whose score decided: those of the hardest task, if there are several."""
    if not isinstance(decision, DecomposedDecision):
        return list(messages)
    hardest = (decision.tier, decision.complexity_score)
    ranks = [(part.tier, part.complexity_score) for part in decision.sub_decisions]
    task = decision.tasks[ranks.index(hardest)]
    return [*messages[:-1], {**messages[-1], "content": task.text}]


def _as_json(found: _Found) -> dict[str, Any]:
    explanation = found.explanation
    return {
        **_where(found.decision, named=found.named),
        "expected_gain": None if found.is_exact else round(explanation.expected_gain, 4),
        "signals": [] if found.is_exact else [asdict(effect) for effect in explanation.effects],
        "tasks": [
            {**asdict(task), **_where(part, named=found.named)} for task, part in found.tasks
        ],
        "routing_latency_us": round(found.taken_us, 1),
    }


def _where(decision: RoutingDecision, *, named: bool) -> dict[str, Any]:
    """Tell where a text or a task goes."""
    answer = decision.deterministic
    return {
        "tier": decision.tier,
        "tier_number": decision.tier_number,
        "score": round(decision.complexity_score, 4) if decision.tier_number else None,
        "answer": answer.answer if answer else None,
        "method": answer.method if answer else None,
        "model": decision.model_name if named else None,
        "fallback_chain": list(decision.fallback_chain) if named else None,
    }


def _lines(found: _Found) -> Iterator[str]:
    facts = _facts(found.decision, named=found.named)
    if not found.is_exact:
        gain = found.explanation.expected_gain
        facts.append(("expected gain", f"{gain:+.3f} by a stronger model"))
    facts.append(("decided in", f"{found.taken_us:.1f} µs"))
    for name, value in facts:
        yield f"{name:<14}  {value}"
    yield from _task_lines(found)
    if not found.is_exact:
        yield ""
        yield f"{'signal':<24}{'value':>8}{'contribution':>14}"
        for effect in found.explanation.effects:
            yield f"{_NAMES[effect.name]:<24}{effect.value:>8.2f}{effect.contribution:>+14.3f}"


def _task_lines(found: _Found) -> Iterator[str]:
    for number, (task, part) in enumerate(found.tasks, start=1):
        leans = "" if task.depends_on is None else f" (needs the answer to {task.depends_on + 1})"
        yield ""
        yield f"task {number}{leans}: {' '.join(task.text.split())}"
        for name, value in _facts(part, named=found.named):
            yield f"  {name:<12}  {value}"


def _facts(decision: RoutingDecision, *, named: bool) -> list[tuple[str, str]]:
    """Tell where a text or a task goes, as names and values for people."""
    if decision.tier_number == 0:
        facts = [("tier", "0 (deterministic), no model needed")]
        if decision.deterministic is not None:
            facts.append(("answer", decision.deterministic.answer))
            facts.append(("method", decision.deterministic.method))
        return facts
    facts = [("tier", f"{decision.tier_number} ({decision.tier})")]
    if named:
        facts.append(("models", " → ".join([decision.model_name, *decision.fallback_chain])))
    return [*facts, ("score", f"{decision.complexity_score:.3f}")]
