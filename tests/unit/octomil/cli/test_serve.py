"""`octomil serve` as a device: what makes no sense is said before anything is fetched."""

from pathlib import Path

import pytest

from octomil.cli.serve import command
from octomil.errors import ConfigurationError


def serve(folder: Path, *words: str) -> None:
    command.main([*words, "--state-dir", str(folder), "--port", "0"], standalone_mode=False)


def test_device_without_a_control_plane_is_refused(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="need --control-plane URL"):
        serve(tmp_path, "echo")

    assert list(tmp_path.iterdir()) == []
