"""`octomil route`: why a query goes where it goes, and routing calibrated on one's own logs."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from octomil.cli.replay import replay
from octomil.errors import MissingDependencyError
from octomil.models.references import split_names
from octomil.routing.complexity import Explanation, scorer
from octomil.routing.router import QueryRouter, RoutingDecision
from octomil.routing.tiers import assign_tiers

if TYPE_CHECKING:
    from octomil.routing.calibration.report import Report

_TIERS = ("fast", "balanced", "quality")
_DEFAULT_OUT = Path("routing.bin")
_FILE = click.Path(path_type=Path, dir_okay=False)

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


@click.group("route")
def command() -> None:
    """Explain routing decisions, and calibrate or replay them on your own logs."""


command.add_command(replay)


@command.command("explain")
@click.argument("text")
@click.option("--models", metavar="A,B,C", help="Models to choose from, smallest first.")
@click.option("--system", metavar="TEXT", help="A system prompt that comes before it.")
@click.option("--model-path", type=_FILE, metavar="FILE", help="A file written by `calibrate`.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def explain(
    text: str, models: str | None, system: str | None, model_path: Path | None, *, as_json: bool
) -> None:
    """Tell where TEXT would go, and why.

    Each contribution is the score less what it would be without that signal; they need not add up,
    because the score has a floor and a ceiling.
    """
    names = split_names([models]) if models else list(_TIERS)
    router = QueryRouter(assign_tiers(names), model_path=model_path)
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": text})
    router.route(messages)  # once to warm up, so that the time is that of a running node
    started_ns = time.perf_counter_ns()
    decision = router.route(messages)
    taken_us = (time.perf_counter_ns() - started_ns) / 1000
    found = scorer(model_path).explain(messages)
    if as_json:
        click.echo(json.dumps(_as_json(decision, found, taken_us, named=bool(models)), indent=2))
    else:
        _print_decision(decision, found, taken_us, named=bool(models))


def _as_json(
    decision: RoutingDecision, found: Explanation, taken_us: float, *, named: bool
) -> dict[str, Any]:
    answer = decision.deterministic
    return {
        "tier": decision.tier,
        "tier_number": decision.tier_number,
        "score": None if answer else round(found.score, 4),
        "answer": answer.answer if answer else None,
        "method": answer.method if answer else None,
        "model": decision.model_name if named else None,
        "fallback_chain": list(decision.fallback_chain) if named else None,
        "expected_gain": None if answer else round(found.expected_gain, 4),
        "signals": [] if answer else [asdict(effect) for effect in found.effects],
        "routing_latency_us": round(taken_us, 1),
    }


def _print_decision(
    decision: RoutingDecision, found: Explanation, taken_us: float, *, named: bool
) -> None:
    if decision.deterministic is not None:
        answer = decision.deterministic
        lines = [("tier", "0 (deterministic), no model needed"), ("answer", answer.answer),
                 ("method", answer.method)]  # fmt: skip
    else:
        lines = [("tier", f"{decision.tier_number} ({decision.tier})"),
                 ("score", f"{found.score:.3f}"),
                 ("expected gain", f"{found.expected_gain:+.3f} by a stronger model")]  # fmt: skip
        if named:
            chain = " → ".join([decision.model_name, *decision.fallback_chain])
            lines.insert(1, ("models", chain))
    lines.append(("decided in", f"{taken_us:.1f} µs"))
    for name, value in lines:
        click.echo(f"{name:<14}  {value}")
    if decision.deterministic is None:
        click.echo(f"\n{'signal':<24}{'value':>8}{'contribution':>14}")
        for effect in found.effects:
            name = _NAMES[effect.name]
            click.echo(f"{name:<24}{effect.value:>8.2f}{effect.contribution:>+14.3f}")


@command.command("calibrate")
@click.argument("file", type=_FILE)
@click.option(
    "--strong-share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.3,
    show_default=True,
    help="Share of such prompts that is to go to the strongest model.",
)
@click.option(
    "--balanced-share",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Share that is to go to the middle of three models; of two, to the stronger.",
)
@click.option("--out", type=_FILE, default=_DEFAULT_OUT, show_default=True, metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def calibrate(
    file: Path, *, strong_share: float, balanced_share: float, out: Path, as_json: bool
) -> None:
    """Fit routing to a log of how a weak and a strong model answered.

    FILE has one JSON object per line, plain or gzipped: "prompt", a text; "weak" and "strong", how
    well each model answered it, from 0 to 1; and, if you like, "topic". Routing is then measured
    by cross-validation, on topics held out where the log names several, and written to --out, for
    OCTOMIL_ROUTING_MODEL or QueryRouter(model_path=...).
    """
    if strong_share + balanced_share >= 1:
        raise click.UsageError("--strong-share and --balanced-share together must stay below 1")
    report = _calibrated(file, out, strong_share, balanced_share)
    if as_json:
        click.echo(json.dumps({"out": str(out), **asdict(report)}, indent=2))
    else:
        _print_report(report, out)


def _calibrated(file: Path, out: Path, strong_share: float, balanced_share: float) -> "Report":
    try:
        from octomil.routing.calibration.report import calibrate_file
    except ImportError as error:
        if error.name != "numpy":
            raise
        raise MissingDependencyError("calibration needs numpy: pip install numpy") from error
    return calibrate_file(file, out, strong_share=strong_share, balanced_share=balanced_share)


def _print_report(report: "Report", out: Path) -> None:
    from octomil.routing.calibration.report import Line

    click.echo(f"{report.rows:,} rows, held out by {report.held_out_by}\n")
    click.echo(f"{'':<12}{'APGR':>8}{'CPT50':>9}{'CPT80':>9}")
    for name, line in report.lines.items():
        assert isinstance(line, Line)
        click.echo(f"{name:<12}{line.apgr:>8.3f}{line.cpt50:>9.1%}{line.cpt80:>9.1%}")
    low, high = report.better_than_words
    click.echo(f"\nAPGR above word count by {low:+.3f} to {high:+.3f} (95 % interval)")
    click.echo(
        f"share of the strongest model: {report.strong_share_held_out:.1%} of held-out rows, "
        f"{report.strong_share:.1%} asked for"
    )
    first, last = report.thresholds
    click.echo(f"thresholds: {first:g}, {last:g}")
    click.echo(f"\n{out} written; serve with it: OCTOMIL_ROUTING_MODEL={out} octomil serve …")
