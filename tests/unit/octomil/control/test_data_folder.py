from pathlib import Path

import pytest

from octomil.control.blobs.catalog import open_blobs
from octomil.control.data_folder import open_data_folder
from octomil.control.stores.catalog import open_store
from octomil.errors import DataFolderError


@pytest.mark.parametrize("name", ["data", "a b", "50%25", "what?", "a#b", "ä"])
def test_whatever_it_is_called_things_are_kept_in_it(tmp_path: Path, name: str):
    with open_data_folder(tmp_path / name) as folder:
        open_store(folder.database_url).close()
        open_blobs(folder.blob_url)

    assert (tmp_path / name / "octomil.sqlite3").stat().st_size > 0
    assert (tmp_path / name / "blobs").is_dir()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_it_is_one_process_s_at_a_time_and_free_again_afterwards(tmp_path: Path):
    with (
        open_data_folder(tmp_path / "data"),
        pytest.raises(DataFolderError, match="another"),
        open_data_folder(tmp_path / "data"),
    ):
        pass

    with open_data_folder(tmp_path / "data") as folder:
        assert folder.path == tmp_path / "data"


def test_a_file_is_no_folder(tmp_path: Path):
    (tmp_path / "data").write_text("x", encoding="utf-8")

    with (
        pytest.raises(DataFolderError, match="cannot be used"),
        open_data_folder(tmp_path / "data"),
    ):
        pass


def test_what_goes_wrong_inside_is_not_blamed_on_the_folder(tmp_path: Path):
    with pytest.raises(OSError, match="elsewhere"), open_data_folder(tmp_path / "data"):
        raise OSError("elsewhere")
    with open_data_folder(tmp_path / "data") as folder:
        assert folder.path.is_dir()
