"""`octomil deploy`: bring a version to the devices, step by step, and watch how it goes."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from octomil.cli.connected import json_option, named_version, print_json, with_registry
from octomil.cli.percentages import SHARE
from octomil.cli.rollout_progress import follow
from octomil.rollouts.plan import Plan

if TYPE_CHECKING:
    from octomil.sdk.model_registry import ModelRegistry

ParamsT = TypeVar("ParamsT", bound=Callable[..., Any])


_USUAL: Final = Plan()
_PACING: Final = ("first_percentage", "interval_s")
_FLAGS: Final = {
    "target_percentage": "--to",
    "rollout_percentage": "--first",
    "first_percentage": "--first-wave",
}


def _share(flag: str, name: str, default: str, text: str) -> Callable[[ParamsT], ParamsT]:
    """Return an option that is a share of the devices."""
    return click.option(flag, name, type=SHARE, default=default, show_default=True, help=text)


def _seconds(flag: str, name: str, usual: float, text: str) -> Callable[[ParamsT], ParamsT]:
    """Return an option that is a time in seconds."""
    kind, default = click.FloatRange(min=0), f"{usual:g}"
    return click.option(
        flag, name, type=kind, metavar="S", default=default, show_default=True, help=text
    )


@click.command("deploy")
@click.argument("version", metavar="MODEL@VERSION")
@_share("--to", "target_percentage", "100%", "Share of the devices to end with.")
@_share("--first", "rollout_percentage", "10%", "Share to begin with.")
@_share("--step", "increment_step", "10%", "What each step adds.")
@_seconds("--dwell", "dwell_s", _USUAL.dwell_s, "How long all of a step is offered at least.")
@_seconds(
    "--health-window",
    "health_window_s",
    _USUAL.health_window_s,
    "How long a device must stay healthy.",
)
@_share(
    "--first-wave",
    "first_percentage",
    f"{_USUAL.pacing.first_percentage:g}%",
    "What each step is offered to at first; each wave after it is larger.",
)
@_seconds(
    "--wave-interval",
    "interval_s",
    _USUAL.pacing.interval_s,
    "How long after a wave the next one may go out.",
)
@click.option("--by-hand", is_flag=True, help="Take no step without `octomil rollouts advance`.")
@click.option("--detach", is_flag=True, help="Begin it, and do not watch.")
@json_option
@with_registry
def command(
    registry: "ModelRegistry",
    /,
    version: str,
    *,
    by_hand: bool,
    detach: bool,
    as_json: bool,
    **plan: float,
) -> None:
    """Bring a version to a share of the devices, watched by gates.

    Each step goes out in waves, and the gates let on every wave and step: with the usual times
    (S is in seconds) a rollout to all devices takes hours. It is rolled back by itself if they do
    not stay healthy. Ctrl-C ends the watching alone.
    """
    for name, flag in _FLAGS.items():
        if plan[name] == 0:
            raise click.BadParameter(
                "a rollout to nobody has no end; write more than 0%", param_hint=flag
            )
    model, number = named_version(registry, version)
    rollout = registry.create_rollout(model.id, number, **_options(plan), automatic=not by_hand)
    if as_json:
        print_json(rollout)
    else:
        click.echo(f"{model.name}@{number}: {rollout.id} is {rollout.status}")
    if not detach and not as_json:
        follow(registry, rollout)


def _options(plan: Mapping[str, float]) -> dict[str, Any]:
    """Return a plan as a request has it; the first share is not above the last."""
    return {
        **{name: value for name, value in plan.items() if name not in _PACING},
        "rollout_percentage": min(plan["rollout_percentage"], plan["target_percentage"]),
        "pacing": {name: plan[name] for name in _PACING},
    }
