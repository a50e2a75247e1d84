"""How a device is told who it is and where its control plane is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octomil.config import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOptions:
    """What a device is started with.

    Attributes:
        api_base: the control plane's address; None for that of the settings.
        bootstrap_token: begins its tokens; None for that of the settings, or where it has some.
        identifier: what it calls itself; None for the name it has already, else the host's.
        state_dir: where it keeps tokens and releases; None for `device` in the state folder.
        poll_s: seconds between two questions what to run.
    """

    api_base: str | None = None
    bootstrap_token: str | None = None
    identifier: str | None = None
    state_dir: Path | None = None
    poll_s: float = 10.0

    def settings(self) -> Settings:
        """Return the settings, with what was given here in place of the environment's."""
        given = {"api_base": self.api_base, "bootstrap_token": self.bootstrap_token}
        overrides: dict[str, Any] = {name: value for name, value in given.items() if value}
        return Settings.from_env(**overrides)

    def folder(self, settings: Settings) -> Path:
        """Return the folder that the device keeps everything in."""
        return self.state_dir or settings.state_dir / "device"
