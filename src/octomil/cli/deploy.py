"""`octomil deploy`: bring a version to the devices, step by step, and watch how it goes."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from octomil.cli.connected import json_option, named_version, print_json, with_registry
from octomil.cli.percentages import SHARE
from octomil.cli.rollout_progress import follow

if TYPE_CHECKING:
    from octomil.sdk.model_registry import ModelRegistry

ParamsT = TypeVar("ParamsT", bound=Callable[..., Any])


_FLAGS = {"target_percentage": "--to", "rollout_percentage": "--first"}


def _share(flag: str, name: str, default: str, text: str) -> Callable[[ParamsT], ParamsT]:
    """Return an option that is a share of the devices."""
    return click.option(flag, name, type=SHARE, default=default, show_default=True, help=text)


def _seconds(flag: str, name: str, text: str) -> Callable[[ParamsT], ParamsT]:
    """Return an option that is a time in seconds; what is left out is as usual."""
    return click.option(flag, name, type=click.FloatRange(min=0), metavar="S", help=text)


@click.command("deploy")
@click.argument("version", metavar="MODEL@VERSION")
@_share("--to", "target_percentage", "100%", "Share of the devices to end with.")
@_share("--first", "rollout_percentage", "10%", "Share to begin with.")
@_share("--step", "increment_step", "10%", "What each step adds.")
@_seconds("--dwell", "dwell_s", "How long all of a step is offered at least.")
@_seconds("--health-window", "health_window_s", "How long a device must stay healthy.")
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
    **plan: float | None,
) -> None:
    """Bring a version to a share of the devices, watched by gates.

    It begins with one percent of them, and is rolled back by itself if they do not stay healthy.
    Ctrl-C ends the watching alone.
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


def _options(plan: Mapping[str, float | None]) -> dict[str, Any]:
    """Return what of a plan was given; the first share is not above the last."""
    given = {name: value for name, value in plan.items() if value is not None}
    shares = ("rollout_percentage", "target_percentage")
    return given | {"rollout_percentage": min(given[name] for name in shares)}
