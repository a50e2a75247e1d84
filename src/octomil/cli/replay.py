"""`octomil route replay`: what routing would have saved on a log of one's own."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from octomil.errors import ConfigurationError
from octomil.models.catalog import CATALOG
from octomil.models.references import split_names
from octomil.routing.logged import LoggedRequest
from octomil.routing.prices import FREE, Price, parse_prices
from octomil.routing.replay import Replay
from octomil.routing.replay import replay as replay_requests
from octomil.routing.router import QueryRouter
from octomil.routing.tiers import assign_tiers

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("replay")
@click.argument("log", type=_FILE)
@click.option("--models", metavar="A,B,C", required=True, help="Models, smallest first.")
@click.option(
    "--price",
    "prices",
    multiple=True,
    metavar="MODEL=IN/OUT",
    help="US dollars for a million prompt tokens and completion tokens; repeatable.",
)
@click.option("--model-path", type=_FILE, metavar="FILE", help="A file written by `calibrate`.")
@click.option("--strict", is_flag=True, help="Refuse the log at a line that makes no sense.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def replay(
    log: Path,
    *,
    models: str,
    prices: tuple[str, ...],
    model_path: Path | None,
    strict: bool,
    as_json: bool,
) -> None:
    """Tell what routing would have saved on LOG, and at what quality.

    LOG has one JSON object per line, plain or gzipped: a chat request ("messages", or "prompt"), at
    the top or in "body" or "request"; if known, its "usage", at the top or in "response"; and, if
    you have them, "scores", how well models answered, from 0 to 1. Nothing is sent anywhere. Lines
    that make no sense are left out and counted, up to a tenth of the log.
    """
    from octomil.routing.calibration.lines import JsonLines

    names = split_names([models])
    known = parse_prices(prices)
    if unknown := sorted(set(known) - set(names)):
        raise click.UsageError(f"--price for {unknown[0]!r}, which is not one of --models")
    router = QueryRouter(assign_tiers(names), model_path=model_path)
    requests = JsonLines(log, LoggedRequest.from_record, strict=strict)
    found = replay_requests(requests, router)
    if not found.total.requests:
        raise ConfigurationError(f"{log} has no requests")
    report = {
        **_report(found, known),
        "skipped": {"lines": requests.skipped, "first": requests.first_fault or None},
    }
    click.echo(json.dumps(report, indent=2) if as_json else "\n".join(_lines(report)))


def _report(found: Replay, prices: dict[str, Price]) -> dict[str, Any]:
    total = found.total.requests
    quality = found.quality
    return {
        "requests": total,
        "requests_without_usage": found.without_usage,
        "models": {
            name: {**asdict(share), "percentage": round(100 * share.requests / total, 1)}
            for name, share in found.shares.items()
        },
        "saved": {
            "compared_with": found.largest,
            "dollars": found.saved(_dollars(prices)) if prices else None,
            "compute": _saved_compute(found),
        },
        "quality": None
        if quality is None
        else {**asdict(quality), "gap_recovered": quality.gap_recovered},
    }


def _dollars(prices: dict[str, Price]) -> Any:
    return lambda name, *tokens: prices.get(name, FREE).cost_usd(*tokens)


def _saved_compute(found: Replay) -> float | None:
    """Compare parameters times tokens, where the catalog knows every model's parameters."""
    sizes = {name: CATALOG[name].parameters for name in found.shares if name in CATALOG}
    if set(found.shares) - {"tier0"} - sizes.keys():
        return None
    return found.saved(lambda name, prompt, completion: sizes[name] * (prompt + completion))


def _lines(report: dict[str, Any]) -> Iterator[str]:
    width = max(len(name) for name in report["models"])
    yield f"{report['requests']:,} requests"
    yield ""
    yield f"{'model':<{width}}  {'requests':>9}  {'share':>6}  {'tokens in':>10}  {'out':>10}"
    for name, share in report["models"].items():
        counts = f"{share['prompt_tokens']:>10,}  {share['completion_tokens']:>10,}"
        yield f"{name:<{width}}  {share['requests']:>9,}  {share['percentage']:>5}%  {counts}"
    yield ""
    saved = report["saved"]
    for what in ("dollars", "compute"):
        if saved[what] is not None:
            yield f"saved  {saved[what]:.1%} of the {what}, compared with {saved['compared_with']}"
    quality = report["quality"]
    if quality is None:
        yield 'quality is not known: that needs "scores" of each model a request would go to'
    else:
        yield (
            f"quality  {quality['routed']:.3f} routed; {quality['smallest']:.3f} and"
            f" {quality['largest']:.3f} on the smallest and the largest model alone"
            f" ({quality['requests']:,} requests with scores)"
        )
        if quality["gap_recovered"] is not None:
            yield f"         that keeps {quality['gap_recovered']:.1%} of what the largest adds"
    if report["skipped"]["lines"]:
        skipped = report["skipped"]
        yield f"{skipped['lines']:,} lines make no sense, left out; the first is {skipped['first']}"
    if report["requests_without_usage"]:
        yield f'{report["requests_without_usage"]:,} requests tell no "usage": 0 tokens out counted'
