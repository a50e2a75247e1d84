"""`octomil route`: why a query goes where it goes, and routing calibrated on one's own logs."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from octomil.cli.explain import explain
from octomil.cli.replay import replay
from octomil.errors import MissingDependencyError

if TYPE_CHECKING:
    from octomil.routing.calibration.report import Report

_DEFAULT_OUT = Path("routing.bin")
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group("route")
def command() -> None:
    """Explain routing decisions, and calibrate or replay them on your own logs."""


command.add_command(explain)
command.add_command(replay)


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
@click.option("--strict", is_flag=True, help="Refuse the log at a line that makes no sense.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def calibrate(
    file: Path,
    *,
    strong_share: float,
    balanced_share: float,
    out: Path,
    strict: bool,
    as_json: bool,
) -> None:
    """Fit routing to a log of how a weak and a strong model answered.

    FILE has one JSON object per line, plain or gzipped: "prompt", a text; "weak" and "strong", how
    well each model answered it, from 0 to 1; and, if you like, "topic". Routing is then measured
    by cross-validation, on topics held out where the log names several, and written to --out, for
    OCTOMIL_ROUTING_MODEL or QueryRouter(model_path=...). Lines that make no sense are left out and
    counted, up to a tenth of the log.
    """
    if strong_share + balanced_share >= 1:
        raise click.UsageError("--strong-share and --balanced-share together must stay below 1")
    report = _calibrated(
        file, out, strong_share=strong_share, balanced_share=balanced_share, strict=strict
    )
    if as_json:
        found = {"out": str(out), **asdict(report), "warnings": report.warnings}
        click.echo(json.dumps(found, indent=2))
    else:
        _print_report(report, out)


def _calibrated(file: Path, out: Path, **options: Any) -> "Report":
    try:
        from octomil.routing.calibration.report import calibrate_file
    except ImportError as error:
        if error.name != "numpy":
            raise
        raise MissingDependencyError("calibration needs numpy: pip install numpy") from error
    return calibrate_file(file, out, **options)


def _print_report(report: "Report", out: Path) -> None:
    from octomil.routing.calibration.report import Line

    skipped = f", {report.skipped:,} lines that make no sense left out" if report.skipped else ""
    click.echo(f"{report.rows:,} rows{skipped}, held out by {report.held_out_by}\n")
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
    for warning in report.warnings:
        click.echo(f"warning: {warning}")
    click.echo(f"\n{out} written; serve with it: OCTOMIL_ROUTING_MODEL={out} octomil serve …")
