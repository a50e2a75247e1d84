"""Who this device is: the options that say it, and its session with the control plane."""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from octomil.config import Settings

if TYPE_CHECKING:
    from octomil.device.session import Session
    from octomil.device.state import StateFolder

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--server",
        "api_base",
        metavar="URL",
        help="The control plane.  [default: OCTOMIL_API_BASE]",
    ),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOptions:
    """What the options of :func:`device_options` say; None for what they leave open."""

    api_base: str | None
    bootstrap_token: str | None
    identifier: str | None
    state_dir: Path | None

    def settings(self) -> Settings:
        """Return the settings, of which options go before the environment."""
        given: dict[str, Any] = {
            "api_base": self.api_base,
            "bootstrap_token": self.bootstrap_token,
        }
        return Settings.from_env(**{name: value for name, value in given.items() if value})


def device_options(command: F) -> F:
    """Add the options that say who the device is, to a function that takes them by name."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@contextmanager
def open_session(
    options: DeviceOptions, settings: Settings
) -> "Iterator[tuple[StateFolder, Session]]":
    """Open the device's folder, and its session; nobody is asked yet.

    Raises:
        DataFolderError: another process uses the folder, or it cannot be used.
        ConfigurationError: it belongs to another device, or to another control plane.
    """
    from octomil.device.session import Session
    from octomil.device.state import open_state_folder

    with open_state_folder(options.state_dir or settings.state_dir / "device") as state:
        known = state.identity
        name = options.identifier or (known.device_identifier if known else socket.gethostname())
        session = Session(state, settings.api_base, name, settings.bootstrap_token, _now)
        with closing(session):
            yield state, session


def _now() -> datetime:
    return datetime.now(UTC)
