"""`octomil device`: the agent that runs on an edge device."""

import json
import signal
import socket
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import click

from octomil.cli.device_simulate import simulate
from octomil.cli.groups import SuggestingGroup
from octomil.config import Settings
from octomil.errors import MissingDependencyError

_HOUR_S = 3600


@click.group("device", cls=SuggestingGroup)
def command() -> None:
    """Run this machine as a device: it fetches, verifies and runs what it is told to."""


@command.command("invite")
@click.argument("name")
@click.option(
    "--devices",
    "max_uses",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="So many devices may come in by it.",
)
@click.option(
    "--expires-in-hours",
    type=click.IntRange(1, 366 * 24),
    default=24,
    show_default=True,
    metavar="N",
    help="So long it is good.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def invite(name: str, *, max_uses: int, expires_in_hours: int, as_json: bool) -> None:
    """Make the bootstrap token that devices come in by, and print it, this once.

    NAME is for people, such as "line 1". OCTOMIL_API_BASE says where the control plane is,
    OCTOMIL_API_KEY who asks; the key needs the scope devices:write.
    """
    from octomil.http.api import Request
    from octomil.sdk.connection import connect

    body = {"name": name, "max_uses": max_uses, "expires_in_seconds": expires_in_hours * _HOUR_S}
    path = "/device-auth/bootstrap-tokens"
    with closing(connect(None, None, None)[0]) as api:
        made = api.call(Request(method="POST", path=path, json=body, is_repeatable=False))
    if as_json:
        click.echo(json.dumps(made, indent=2))
        return
    click.echo(made.token)
    click.echo(f"{made.name} ({made.id}); this is the only time that it is shown.", err=True)


@command.command("run")
@click.option(
    "--server", "api_base", metavar="URL", help="The control plane.  [default: OCTOMIL_API_BASE]"
)
@click.option(
    "--bootstrap-token",
    metavar="TOKEN",
    help="Begins the device's own tokens; needed at the first start only, and better given as "
    "OCTOMIL_BOOTSTRAP_TOKEN, which other users cannot see.",
)
@click.option(
    "--identifier", metavar="NAME", help="What the device calls itself.  [default: the host's name]"
)
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where it keeps its tokens and models.  [default: device, in OCTOMIL_STATE_DIR]",
)
@click.option(
    "--poll-interval",
    "poll_s",
    type=click.FloatRange(0.1, 86_400),
    default=10.0,
    show_default=True,
    help="Seconds between two questions what to run.",
)
@click.option(
    "--once", is_flag=True, help="End as soon as it runs what is wanted; fail if it cannot."
)
def run(
    *,
    api_base: str | None,
    bootstrap_token: str | None,
    identifier: str | None,
    state_dir: Path | None,
    poll_s: float,
    once: bool,
) -> int:
    """Register, ask what to run, fetch it verified, activate it, attest what runs; and again.

    What runs is at DIR/active/MODEL, which changes from one release to the next at once. A release
    is taken only with the digest that was assigned. The assignment must be signed by the key that
    the control plane showed at the first contact, or by one that such a key endorsed.
    """
    given: dict[str, Any] = {"api_base": api_base, "bootstrap_token": bootstrap_token}
    settings = Settings.from_env(**{name: value for name, value in given.items() if value})
    folder = state_dir or settings.state_dir / "device"
    try:
        return _run(settings, folder, identifier, poll_s, once=once)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"`octomil device` needs the package {error.name!r}, which is not installed"
        ) from error


def _run(
    settings: Settings, folder: Path, identifier: str | None, poll_s: float, *, once: bool
) -> int:
    from octomil.device.activation import LinkActivator
    from octomil.device.agent import Agent, Pace
    from octomil.device.releases import Releases
    from octomil.device.session import Session
    from octomil.device.state import open_state_folder
    from octomil.models.progress import open_progress
    from octomil.sdk.downloads import Downloader

    with open_state_folder(folder) as state, open_progress() as progress:
        known = state.identity
        name = identifier or (known.device_identifier if known else socket.gethostname())
        session = Session(state, settings.api_base, name, settings.bootstrap_token, _now)
        releases = Releases(state, session.api, Downloader(session.api, progress.advance))
        agent = Agent(session, releases, LinkActivator(state), say=_say, pace=Pace(poll_s=poll_s))
        if once:
            return 0 if agent.turn() else 1
        stop = Event()
        for ending in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ending, lambda *_: stop.set())
        agent.run(stop)
    return 0


command.add_command(simulate)


def _now() -> datetime:
    return datetime.now(UTC)


def _say(line: str) -> None:
    print(f"[device] {line}", flush=True, file=sys.stdout)
