"""`octomil device simulate`: a fleet that is not there, for trying out a control plane."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from octomil.config import Settings
from octomil.errors import MissingDependencyError

if TYPE_CHECKING:
    from octomil.device.simulation.fleet import Report

_SHARE = click.FloatRange(0, 1)
_PACE = ("prefix", "seconds", "turns", "poll_s", "connections")


class _VersionShare(click.ParamType[tuple[str, float]]):
    """`VERSION=SHARE`, such as `2.0.0=0.05`."""

    name = "version=share"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        """Return both.

        Raises:
            click.BadParameter: it is not both.
        """
        version, _, share = str(value).rpartition("=")
        try:
            number = float(share)
        except ValueError:
            number = -1.0
        if not version or not 0 <= number <= 1:
            self.fail(f"{value!r} is not VERSION=SHARE, such as 2.0.0=0.05", param, ctx)
        return version, number


@click.command("simulate")
@click.option("--count", type=click.IntRange(1, 100_000), required=True, help="So many devices.")
@click.option(
    "--server", "api_base", metavar="URL", help="The control plane.  [default: OCTOMIL_API_BASE]"
)
@click.option(
    "--bootstrap-token",
    metavar="TOKEN",
    help="Lets them in (`octomil device invite --devices N`); better given as "
    "OCTOMIL_BOOTSTRAP_TOKEN, which other users cannot see.",
)
@click.option("--prefix", default="simulated", show_default=True, help="Their names begin with it.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another one, other devices.")
@click.option(
    "--seconds", type=click.FloatRange(0.1, 86_400), default=60.0, show_default=True,
    help="How long.",
)  # fmt: skip
@click.option(
    "--turns", type=click.IntRange(1),
    help="End before, once each device had so many turns; also those where it was offline.",
)  # fmt: skip
@click.option(
    "--poll-interval", "poll_s", type=click.FloatRange(0.1, 86_400), default=10.0,
    show_default=True, help="Seconds between two turns of a device.",
)  # fmt: skip
@click.option(
    "--connections", type=click.IntRange(1, 1_000), default=32, show_default=True,
    help="Requests under way at once, at most.",
)  # fmt: skip
@click.option(
    "--offline", type=_SHARE, default=0.2, show_default=True,
    help="How often a device is silent when it is its turn.",
)  # fmt: skip
@click.option(
    "--lying", type=_SHARE, default=0.05, show_default=True,
    help="Share of the devices that attest what they cannot run.",
)  # fmt: skip
@click.option(
    "--repeating", type=_SHARE, default=0.05, show_default=True,
    help="Share that says everything twice, and old things again.",
)  # fmt: skip
@click.option(
    "--skew-s", type=click.FloatRange(0, 86_400), default=300.0, show_default=True,
    help="Their clocks are wrong by up to so many seconds.",
)  # fmt: skip
@click.option(
    "--failing", type=_VersionShare(), multiple=True, metavar="VERSION=SHARE",
    help="A version, or its digest, and the share of the devices that cannot run it.",
)  # fmt: skip
@click.option(
    "--erring", type=_VersionShare(), multiple=True, metavar="VERSION=SHARE",
    help="Likewise, the share of its requests that fail; of others 0.01.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON at the end.")
def simulate(
    *,
    count: int,
    api_base: str | None,
    bootstrap_token: str | None,
    failing: Sequence[tuple[str, float]],
    erring: Sequence[tuple[str, float]],
    as_json: bool,
    **more: Any,
) -> None:
    """Let many devices come in, ask what to run, attest it and report usage, all made up.

    They fetch no files and run nothing. A control plane takes their word as that of real ones, so
    that only one of your own should hear it. They do the same with the same seed, as far as what
    they hear is the same.
    """
    given: dict[str, Any] = {"api_base": api_base, "bootstrap_token": bootstrap_token}
    settings = Settings.from_env(**{name: value for name, value in given.items() if value})
    if settings.bootstrap_token is None:
        raise click.UsageError("give --bootstrap-token, or OCTOMIL_BOOTSTRAP_TOKEN")
    try:
        from octomil.device.simulation.fleet import Plan
        from octomil.device.simulation.fleet import simulate as run
        from octomil.device.simulation.world import World
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"`octomil device` needs the package {error.name!r}, which is not installed"
        ) from error
    plan = Plan(
        api_base=settings.api_base,
        bootstrap_token=settings.bootstrap_token,
        devices=count,
        **{name: more.pop(name) for name in _PACE},
    )
    world = World(failing=dict(failing), erring=dict(erring), **more)
    done = run(plan, world, Telling().tell)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(done), indent=2))
        return
    _print(done)


class Telling:
    """What was told last: off a terminal, only what is new is worth a line."""

    def __init__(self) -> None:
        self._last: str | None = None

    def tell(self, report: "Report") -> None:
        """Write a line over the one before on a terminal; elsewhere one below, if it differs.

        Time and answers, which always differ, make no line worth it.
        """
        running = ", ".join(f"{n} run {name}" for name, n in sorted(report.running.items()))
        news = (
            f"{report.devices_in} of {report.devices} are in; {running or 'nothing runs'}; "
            f"{sum(report.refused.values())} refused"
        )
        line = f"[simulate] {report.seconds:.0f} s: {news}; {sum(report.requests.values())} answers"
        if sys.stderr.isatty():
            click.echo(f"\r\x1b[K{line}", err=True, nl=False)
        elif news != self._last:
            click.echo(line, err=True)
        self._last = news


def _print(done: "Report") -> None:
    from octomil.cli.tables import print_table

    if sys.stderr.isatty():
        click.echo(err=True)
    rows = [
        ["devices let in", f"{done.devices_in} of {done.devices}"],
        *([f"run {name}", str(n)] for name, n in sorted(done.running.items())),
        *([f"attested {name}", str(n)] for name, n in sorted(done.attested.items())),
        ["of these lies", str(done.lies)],
        ["said again", str(done.repeated)],
        ["reports counted", str(done.reported)],
        *([f"answered: {name}", str(n)] for name, n in sorted(done.requests.items())),
        *([f"refused: {name}", str(n)] for name, n in sorted(done.refused.items())),
        ["answers a second", f"{sum(done.requests.values()) / done.seconds:.1f}"],
        ["p50, p99 of answers", f"{_ms(done.p50_ms)}, {_ms(done.p99_ms)}"],
    ]
    print_table(["what", "how many"], rows, right=("how many",))


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"
