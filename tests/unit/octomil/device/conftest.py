import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from octomil.device.state import StateFolder, open_state_folder
from octomil.registry.signatures import key_id_of, public_key_of
from support.device_keys import OWNER, text


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFolder]:
    """A device that had its first contact: it trusts the owner's key."""
    with open_state_folder(tmp_path / "device") as state:
        public = public_key_of(OWNER)
        state.keys.write_text(json.dumps({key_id_of(public): text(public)}))
        yield state
