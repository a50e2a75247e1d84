"""The folder that a device keeps everything in."""

import errno
from pathlib import Path

import pytest

from octomil.device.state import open_state_folder
from octomil.errors import DataFolderError, ServerUnreachableError


def test_a_fault_of_the_disk_is_an_error_that_names_the_folder(tmp_path: Path):
    with (
        pytest.raises(DataFolderError, match=f"{tmp_path}.* the disk is broken"),
        open_state_folder(tmp_path),
    ):
        raise OSError(errno.EIO, "the disk is broken")


def test_a_server_out_of_reach_is_no_fault_of_the_folder(tmp_path: Path):
    with pytest.raises(ServerUnreachableError), open_state_folder(tmp_path):
        raise ServerUnreachableError("nobody answers")


def test_a_file_in_its_place_is_told(tmp_path: Path):
    (tmp_path / "device").write_text("hello")

    with (
        pytest.raises(DataFolderError, match="cannot be used"),
        open_state_folder(tmp_path / "device"),
    ):
        pass
