"""`octomil rollouts`: how versions come to the devices, looked at and steered."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from octomil.cli.connected import json_option, named_version, print_json, with_registry
from octomil.cli.groups import SuggestingGroup
from octomil.cli.percentages import SHARE, shown
from octomil.cli.rollout_progress import follow, history_of, line_of, plan_lines, waiting_line
from octomil.cli.tables import print_table
from octomil.errors import NotFoundError

if TYPE_CHECKING:
    from octomil.http.records import Record
    from octomil.sdk.model_registry import ModelRegistry

_PAGE = 500

_model = click.argument("model")
_which = click.option("--id", "rollout_id", help="Which rollout.  [default: the model's last]")
_reason = click.option("--reason", help="Why, for the history.")


@click.group("rollouts", cls=SuggestingGroup)
def command() -> None:
    """See and steer how versions come to the devices; `octomil deploy` begins it.

    OCTOMIL_API_BASE says where the control plane is, OCTOMIL_API_KEY who asks. MODEL is a name.
    """


@command.command("list")
@_model
@click.option("--status", help="Only those that are pending, active, paused, …")
@json_option
@with_registry
def list_rollouts(
    registry: "ModelRegistry", /, model: str, status: str | None, *, as_json: bool
) -> None:
    """List a model's rollouts, newest first."""
    found = registry.rollouts.list(_model_id(registry, model), status_filter=status)
    if as_json:
        print_json(found)
        return
    header = ("rollout", "version", "status", "offered", "of", "run it", "cannot")
    rows = [
        (
            each.id,
            each.version,
            each.status,
            shown(each.offered_percentage),
            shown(each.rollout_percentage),
            str(each.active_devices),
            str(each.failed_devices),
        )
        for each in found
    ]
    print_table(header, rows, right={"offered", "of", "run it", "cannot"})


@command.command("show")
@_model
@_which
@json_option
@with_registry
def show(
    registry: "ModelRegistry", /, model: str, rollout_id: str | None, *, as_json: bool
) -> None:
    """Show where a rollout stands, what it waits for, and what its plan is."""
    present = _found(registry, model, rollout_id)
    if as_json:
        print_json(present)
        return
    _print(present)
    click.echo(f"{present.active_devices} devices run it, {present.failed_devices} cannot")
    if present.waits_for is not None:
        click.echo(waiting_line(present))
    for line in plan_lines(present):
        click.echo(line)


@command.command("watch")
@_model
@_which
@with_registry
def watch(registry: "ModelRegistry", /, model: str, rollout_id: str | None) -> None:
    """Show what happens to a rollout until it is over."""
    follow(registry, _found(registry, model, rollout_id))


@command.command("history")
@_model
@_which
@json_option
@with_registry
def history(
    registry: "ModelRegistry", /, model: str, rollout_id: str | None, *, as_json: bool
) -> None:
    """Tell what happened to a rollout: when, who, why, by what evidence."""
    rollout = _found(registry, model, rollout_id)
    entries = list(history_of(registry, rollout))
    if as_json:
        print_json(entries)
        return
    for entry in entries:
        click.echo(f"{line_of(entry)} ({entry.actor})")


@command.command("devices")
@_model
@_which
@json_option
@with_registry
def devices(
    registry: "ModelRegistry", /, model: str, rollout_id: str | None, *, as_json: bool
) -> None:
    """List the devices that took a rollout's version, and where they stand with it."""
    rollout = _found(registry, model, rollout_id)
    found = list(devices_of(registry, rollout))
    if as_json:
        print_json(found)
        return
    rows = [(d.device_id, d.state, d.since, d.version or "", d.code or "") for d in found]
    print_table(("device", "state", "since", "runs", "why"), rows)


@command.command("start")
@_model
@_which
@_reason
@with_registry
def start(
    registry: "ModelRegistry", /, model: str, rollout_id: str | None, reason: str | None
) -> None:
    """Offer a pending rollout's version to the first devices."""
    rollout = _found(registry, model, rollout_id)
    _print(registry.rollouts.start(rollout.model_id, rollout.id, reason))


@command.command("pause")
@_model
@_which
@_reason
@with_registry
def pause(
    registry: "ModelRegistry", /, model: str, rollout_id: str | None, reason: str | None
) -> None:
    """Offer the version to nobody new; who has it keeps it."""
    rollout = _found(registry, model, rollout_id)
    _print(registry.rollouts.pause(rollout.model_id, rollout.id, reason))


@command.command("resume")
@_model
@_which
@_reason
@with_registry
def resume(
    registry: "ModelRegistry", /, model: str, rollout_id: str | None, reason: str | None
) -> None:
    """Go on after a pause."""
    rollout = _found(registry, model, rollout_id)
    _print(registry.rollouts.resume(rollout.model_id, rollout.id, reason))


@command.command("advance")
@_model
@_which
@click.option("--by", "increment", type=SHARE, help="Points to add instead of the plan's.")
@_reason
@with_registry
def advance(
    registry: "ModelRegistry",
    /,
    model: str,
    rollout_id: str | None,
    increment: float | None,
    reason: str | None,
) -> None:
    """Take the next step, whatever the gates say."""
    rollout = _found(registry, model, rollout_id)
    _print(registry.rollouts.advance(rollout.model_id, rollout.id, increment, reason))


@command.command("set")
@_model
@click.argument("share", type=SHARE)
@_which
@_reason
@with_registry
def set_share(
    registry: "ModelRegistry",
    /,
    model: str,
    share: float,
    rollout_id: str | None,
    reason: str | None,
) -> None:
    """Let the rollout go up to SHARE; less takes the version from some devices, and pauses."""
    rollout = _found(registry, model, rollout_id)
    _print(registry.rollouts.update_percentage(rollout.model_id, rollout.id, share, reason))


@command.command("rollback")
@_model
@_which
@_reason
@with_registry
def rollback(
    registry: "ModelRegistry", /, model: str, rollout_id: str | None, reason: str | None
) -> None:
    """Take the version from every device; each goes back to what was rolled out before."""
    rollout = _found(registry, model, rollout_id)
    _print(registry.rollouts.rollback(rollout.model_id, rollout.id, reason))


@command.command("delete")
@_model
@_which
@click.option("--force", is_flag=True, help="Even while devices are told to run its version.")
@with_registry
def delete(
    registry: "ModelRegistry", /, model: str, rollout_id: str | None, *, force: bool
) -> None:
    """Remove a rollout; what it offers is withdrawn."""
    rollout = _found(registry, model, rollout_id)
    registry.rollouts.delete(rollout.model_id, rollout.id, force=force)
    click.echo(f"{rollout.id} is no more")


@command.command("unblock")
@click.argument("version", metavar="MODEL@VERSION")
@_reason
@with_registry
def unblock(registry: "ModelRegistry", /, version: str, reason: str | None) -> None:
    """Let a version be rolled out again that was rolled back for its health."""
    found, number = named_version(registry, version)
    registry.rollouts.unblock(found.id, number, reason)
    click.echo(f"{found.name}@{number} may be rolled out")


def _model_id(registry: "ModelRegistry", name: str) -> str:
    from octomil.sdk.references import find_model

    return str(find_model(registry, name).id)


def devices_of(
    registry: "ModelRegistry", rollout: "Record", page: int = _PAGE
) -> Iterator["Record"]:
    """Yield the devices that took a rollout's version, asking for a page at a time."""
    of_it, cursor = (rollout.model_id, rollout.id), None
    while True:
        some = registry.rollouts.get_affected_devices(*of_it, limit=page, cursor=cursor)
        yield from some
        cursor = some.next_cursor
        if cursor is None:
            return


def _found(registry: "ModelRegistry", model: str, rollout_id: str | None) -> "Record":
    """Return the rollout that is meant.

    Raises:
        NotFoundError: the model has none.
    """
    model_id = _model_id(registry, model)
    if rollout_id is not None:
        return registry.rollouts.get(model_id, rollout_id)
    found = registry.rollouts.list(model_id, limit=1)
    if not found:
        raise NotFoundError(f"{model} has no rollouts; `octomil deploy {model}` begins one")
    return found[0]


def _print(rollout: "Record") -> None:
    share = f"{shown(rollout.offered_percentage)} of {shown(rollout.rollout_percentage)}"
    status = rollout.status.replace("_", " ")
    click.echo(f"{rollout.id}: {rollout.version} is {status}, offered to {share}")
