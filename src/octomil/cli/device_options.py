"""The options of whatever runs as a device: the agent by itself, or beside a serving node."""

from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from octomil.device.options import DeviceOptions

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--bootstrap-token",
        metavar="TOKEN",
        help="Begins the device's own tokens; needed at the first start only, and better given as "
        "OCTOMIL_BOOTSTRAP_TOKEN, which other users cannot see.",
    ),
    click.option(
        "--identifier",
        metavar="NAME",
        help="What the device calls itself.  [default: the host's name]",
    ),
    click.option(
        "--state-dir",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Where it keeps its tokens and models.  [default: device, in OCTOMIL_STATE_DIR]",
    ),
)
_POLLS = click.option(
    "--poll-interval",
    "poll_s",
    type=click.FloatRange(0.1, 86_400),
    default=10.0,
    show_default=True,
    help="Seconds between two questions what to run.",
)


_NAMES = {each.name for each in fields(DeviceOptions)}


def device_options(
    server: str, help_text: str, *, polls: bool = True
) -> Callable[[_Command], _Command]:
    """Give a command the options of a device, as the one argument `device`.

    Args:
        server: the option that names the control plane.
        help_text: what `--help` says about it.
        polls: whether the command asks again and again.
    """

    def give(command: _Command) -> _Command:
        @wraps(command)
        def collected(**given: Any) -> Any:
            mine = {name: given.pop(name) for name in _NAMES & set(given)}
            return command(device=DeviceOptions(**mine), **given)

        wrapped: Any = collected
        for option in reversed((*_OPTIONS, _POLLS) if polls else _OPTIONS):
            wrapped = option(wrapped)
        first = click.option(server, "api_base", metavar="URL", help=help_text)
        given_all: _Command = first(wrapped)
        return given_all

    return give
