"""`octomil device`: the agent that runs on an edge device."""

import json
import signal
from contextlib import closing
from dataclasses import replace
from threading import Thread
from typing import TYPE_CHECKING

import click

from octomil.cli.device_options import device_options
from octomil.cli.device_profile import command as profile
from octomil.cli.device_simulate import simulate
from octomil.cli.groups import SuggestingGroup
from octomil.cli.lines import say
from octomil.device.options import DeviceOptions
from octomil.errors import ConfigurationError, MissingDependencyError
from octomil.serve.options import ServeOptions

if TYPE_CHECKING:
    from octomil.convert.sandbox import Children
    from octomil.device.stopping import Stop

_HOUR_S = 3600
_ALIAS = "production"
_NODE = ServeOptions(models=())


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
    from octomil.http.connection import connect
    from octomil.http.exchange import Request

    body = {"name": name, "max_uses": max_uses, "expires_in_seconds": expires_in_hours * _HOUR_S}
    path = "/device-auth/bootstrap-tokens"
    with closing(connect(None, None, None)[0]) as api:
        made = api.call(Request(method="POST", path=path, json=body, is_repeatable=False))
    if as_json:
        click.echo(json.dumps(made, indent=2))
        return
    click.echo(made.token)
    # not its id, which begins with the same letters and lets nobody in
    click.echo(f"The token of {made.name!r}; this is the only time that it is shown.", err=True)


@command.command("run")
@device_options("--server", "The control plane.  [default: OCTOMIL_API_BASE]")
@click.option(
    "--once", is_flag=True, help="End as soon as it runs what is wanted; fail if it cannot."
)
@click.option(
    "--serve",
    "served",
    metavar="A,B",
    help="Serve these models of the registry, too: NAME, or NAME@ALIAS.  [default alias: "
    f"{_ALIAS}]",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help=f"Where --serve listens, on this machine alone.  [default: {_NODE.port}]",
)
def run(*, device: DeviceOptions, once: bool, served: str | None, port: int | None) -> int:
    """Register, ask what to run, fetch it verified, activate it, attest what runs; and again.

    What runs is at DIR/active/MODEL, which changes from one release to the next at once. A release
    is taken only with the digest that was assigned. The assignment must be signed by the key that
    the control plane showed at the first contact, or by one that such a key endorsed.

    Before a release is activated it is run once in a process of its own. For a while afterwards it
    is watched, and if it fails, the device goes back to the release before by itself.

    With --serve it is a serving node besides: the models that are named answer at
    http://localhost:PORT/v1, as those of `octomil serve --control-plane` do, which has more flags.
    """
    try:
        if served is None:
            if port is not None:
                raise ConfigurationError("--port is where --serve listens: say what to serve")
            return _run(device, once=once)
        if once:
            raise ConfigurationError("--once ends, and --serve does not: leave one of them out")
        return _serve(device, served, _NODE.port if port is None else port)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"`octomil device` needs the package {error.name!r}, which is not installed"
        ) from error


command.add_command(profile)


def _serve(device: DeviceOptions, served: str, port: int) -> int:
    from octomil.cli.serve import key_of, serve_node
    from octomil.models.references import split_names

    settings = device.settings()
    names = tuple(
        f"registry:{name if '@' in name else f'{name}@{_ALIAS}'}" for name in split_names([served])
    )
    options = replace(_NODE, models=names, port=port, api_keys=key_of(settings))
    serve_node(settings, options, replace(device, api_base=settings.api_base), follows_all=True)
    return 0


def _run(device: DeviceOptions, *, once: bool) -> int:
    from octomil.convert.sandbox import Children
    from octomil.device.activation import LinkActivator
    from octomil.device.agent import Agent
    from octomil.device.pace import Pace
    from octomil.device.releases import Releases
    from octomil.device.session import open_session
    from octomil.device.smoke.smoke_test import SmokeTest
    from octomil.device.stage_reports import StageReports
    from octomil.device.state import open_state_folder
    from octomil.device.stopping import Stop
    from octomil.models.progress import open_progress
    from octomil.sdk.downloads import Downloader

    settings = device.settings()
    with open_state_folder(device.folder(settings)) as state, open_progress() as progress:
        session = open_session(state, settings, device)
        releases = Releases(state, session.api, Downloader(session.api, progress.advance))
        pace = Pace(poll_s=device.poll_s)
        links = LinkActivator(state)
        trials = Children()
        smoke_test = SmokeTest(children=trials)
        agent = Agent(session, releases, links, say=_say, pace=pace, trial=smoke_test)
        agent.tell_stages(StageReports(session))
        if once:
            return 0 if agent.turn() else 1
        stop = Stop()
        Thread(target=_end_with, args=(stop, trials), name="ends trials", daemon=True).start()
        for ending in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ending, lambda *_: stop.set())  # may interrupt the holder of any lock
        agent.run(stop)
    return 0


def _end_with(stop: "Stop", trials: "Children") -> None:
    """End the trials once the device is told to stop."""
    stop.wait()
    trials.end()


command.add_command(simulate)


def _say(line: str) -> None:
    say(f"[device] {line}")
