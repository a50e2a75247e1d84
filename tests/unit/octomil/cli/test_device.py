"""`octomil device run`: what makes no sense is said before anything is asked or written."""

from pathlib import Path

import pytest

from octomil.cli.device import command
from octomil.errors import ConfigurationError


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--once", "--serve", "storyteller"], "--once ends, and --serve does not"),
        (["--port", "8081"], "--port is where --serve listens"),
        (["--serve", "storyteller@"], "registry:storyteller@"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path: Path, words: list[str], why: str):
    state = tmp_path / "state"
    with pytest.raises(ConfigurationError, match=why):
        command.main(["run", "--state-dir", str(state), *words], standalone_mode=False)

    assert not state.exists()
