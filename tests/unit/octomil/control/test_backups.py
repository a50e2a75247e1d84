"""Backups, restores, and the check of what is kept."""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from octomil.cli.main import main
from octomil.compose_control import build_plane, first_admin_key
from octomil.compose_kept import open_kept
from octomil.config import Settings
from octomil.control import backups
from octomil.control.backups import back_up, restore
from octomil.control.data_folder import DataFolder, data_folder_at, open_data_folder
from octomil.control.plan_numbers import EPOCH_SETTING
from octomil.control.plane import ControlPlane
from octomil.control.services.callers import Caller
from octomil.control.services.fsck import Fault, check_blobs
from octomil.control.services.version_files import Part
from octomil.errors import ConfigurationError, DataFolderError, UnauthorizedError
from octomil.wire.device_auth import BootstrapRequest
from octomil.wire.models import ModelCreation
from octomil.wire.versions import VersionCreation
from support import model_files as made
from support.folders import names_in
from support.records import operations

ADMIN = Caller("default", "key:admin", ("*",))
CONTENTS = [made.safetensors_file(w=[float(number)]) for number in range(5)]


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def plane(folder: Path) -> Iterator[ControlPlane]:
    """A running control plane with five versions of a model."""
    with open_data_folder(folder) as opened:
        plane = build_plane(Settings(), opened)
        first_admin_key(plane)
        model, _ = plane.models.ensure(ADMIN, ModelCreation(name="m"))
        for number, content in enumerate(CONTENTS):
            plane.spool.append("u", 0, content)
            part = Part(blob=plane.intake.keep("u"), name="m")
            creation = VersionCreation(version=f"1.{number}.0")
            plane.version_files.create_of(ADMIN, model.id, creation, [part])
        yield plane
        plane.close()


def blob_path(folder: Path, content: bytes) -> Path:
    return next((folder / "blobs").rglob(digest_of(content)))


def checked(folder: Path):
    with open_kept(Settings(), data_folder_at(folder)) as (store, blobs):
        return check_blobs(store, blobs)


def test_what_is_whole_is_said_to_be(plane: ControlPlane, folder: Path, capsys):
    assert main(["fsck", str(folder)]) == 0

    assert capsys.readouterr().out.startswith("0 of 5 blobs differ (")


def test_damage_is_found(plane: ControlPlane, folder: Path, capsys):
    flipped = blob_path(folder, CONTENTS[0])
    flipped.write_bytes(CONTENTS[0][:-1] + b"?")
    blob_path(folder, CONTENTS[1]).unlink()
    stranger = flipped.with_name("f" * 64)
    stranger.write_bytes(b"stranger")

    verdict = checked(folder)

    assert str(verdict) == "2 of 5 blobs differ"
    assert verdict.faults == {
        Fault.DIFFERS: [digest_of(CONTENTS[0])],
        Fault.MISSING: [digest_of(CONTENTS[1])],
        Fault.UNKNOWN: ["f" * 64],
    }
    assert main(["fsck", str(folder), "--json"]) == 1
    assert digest_of(CONTENTS[1]) in capsys.readouterr().out


def test_a_backup_of_a_running_plane_is_restored_whole(
    plane: ControlPlane, folder: Path, tmp_path: Path, capsys
):
    copy, new = tmp_path / "copy", tmp_path / "new"
    assert main(["backup", str(folder), str(copy)]) == 0
    assert main(["restore", str(copy), str(new)]) == 0

    with open_data_folder(new) as opened:
        again = build_plane(Settings(), opened)
        model, _ = again.models.ensure(ADMIN, ModelCreation(name="m"))
        versions = again.versions.list(ADMIN, model.id, state=None, limit=10, offset=0)
        files = [file.digest for version in versions for file in version.files]
        assert sorted(files) == sorted(map(digest_of, CONTENTS))
        assert [b"".join(again.blobs.read(digest_of(each))) for each in CONTENTS] == CONTENTS
        again.close()
    assert str(checked(new)) == "0 of 5 blobs differ"
    assert capsys.readouterr().out.count("5 files") == 2


def test_nobody_else_can_read_a_copy(plane: ControlPlane, folder: Path, tmp_path: Path):
    copy, new = tmp_path / "copy", tmp_path / "new"
    before = os.umask(0o022)
    try:
        assert main(["backup", str(folder), str(copy)]) == 0
        assert main(["restore", str(copy), str(new)]) == 0
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)

    made = [each for root in (copy, new) for each in (root, *root.rglob("*"))]
    assert {"octomil.sqlite3", "FORMAT"} <= {each.name for each in made}
    assert [str(each) for each in made if each.stat().st_mode & 0o077] == []


def test_a_backup_is_of_one_moment(plane: ControlPlane, folder: Path, tmp_path: Path):
    """While versions come and go, every backup has the files of just the rows that it has."""
    model, _ = plane.models.ensure(ADMIN, ModelCreation(name="m"))
    for number in range(3):
        copy = tmp_path / f"copy-{number}"
        back_up(DataFolder(folder), copy)
        plane.versions.delete(ADMIN, model.id, f"1.{number}.0")
        assert str(checked(copy)) == "0 of 5 blobs differ"


def test_nothing_is_written_over(plane: ControlPlane, folder: Path, tmp_path: Path):
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").write_text("x")
    back_up(DataFolder(folder), tmp_path / "copy")

    for run in (
        lambda: back_up(DataFolder(folder), full),
        lambda: restore(tmp_path / "copy", full),
    ):
        with pytest.raises(DataFolderError, match="is not empty"):
            run()

    assert names_in(full) == ["mine"]
    assert sorted(names_in(tmp_path)) == ["copy", "data", "full"]


def test_what_lies_beside_the_target_is_let_alone(
    plane: ControlPlane, folder: Path, tmp_path: Path
):
    """It may be somebody's folder, or the copy that another backup is making."""
    theirs = [tmp_path / f"{name}.partial" for name in ("copy", "new")]
    for each in theirs:
        each.mkdir()
        (each / "mine").write_text("x")

    back_up(DataFolder(folder), tmp_path / "copy")
    restore(tmp_path / "copy", tmp_path / "new")

    assert [names_in(each) for each in theirs] == [["mine"], ["mine"]]
    assert sorted(names_in(tmp_path)) == ["copy", "copy.partial", "data", "new", "new.partial"]


def test_of_two_backups_to_one_place_the_first_to_end_has_it(
    plane: ControlPlane, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    copy, copy_database = tmp_path / "copy", backups._copy_database

    def copy_after_another(source: Path, target: Path) -> None:
        monkeypatch.setattr(backups, "_copy_database", copy_database)
        back_up(DataFolder(folder), copy)
        copy_database(source, target)

    monkeypatch.setattr(backups, "_copy_database", copy_after_another)
    with pytest.raises(DataFolderError, match="cannot be moved"):
        back_up(DataFolder(folder), copy)

    assert sorted(names_in(tmp_path)) == ["copy", "data"]
    assert str(checked(copy)) == "0 of 5 blobs differ"


def test_a_damaged_backup_is_not_restored(plane: ControlPlane, folder: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    back_up(DataFolder(folder), copy)
    blob_path(copy, CONTENTS[2]).write_bytes(b"damaged")

    with pytest.raises(DataFolderError, match="is damaged"):
        restore(copy, tmp_path / "new")

    assert sorted(names_in(tmp_path)) == ["copy", "data"]


def test_a_file_that_is_lost_stops_the_backup(plane: ControlPlane, folder: Path, tmp_path: Path):
    blob_path(folder, CONTENTS[3]).unlink()

    with pytest.raises(DataFolderError, match=f"{digest_of(CONTENTS[3])} is missing"):
        back_up(DataFolder(folder), tmp_path / "copy")

    assert names_in(tmp_path) == ["data"]


def test_a_damaged_database_is_not_backed_up(plane: ControlPlane, folder: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    back_up(DataFolder(folder), copy)
    database = copy / "octomil.sqlite3"
    with closing(sqlite3.connect(database)) as connection:
        page = connection.execute("PRAGMA page_size").fetchone()[0]
    content = bytearray(database.read_bytes())
    content[page * 3 : page * 6] = bytes([0xFF]) * (page * 3)
    database.write_bytes(content)

    with pytest.raises(DataFolderError, match="the database"):
        restore(copy, tmp_path / "new")

    assert sorted(names_in(tmp_path)) == ["copy", "data"]


@pytest.mark.parametrize("command", ["fsck", "backup", "restore"])
def test_what_is_no_data_folder_is_refused(command: str, tmp_path: Path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    rest = [] if command == "fsck" else [str(tmp_path / "new")]

    assert main([command, str(other), *rest]) == 1

    assert "is no" in capsys.readouterr().err
    assert names_in(tmp_path) == ["other"]


def test_what_is_kept_elsewhere_is_not_backed_up(
    plane, folder: Path, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("OCTOMIL_BLOB_URL", "s3://bucket")

    assert main(["backup", str(folder), str(tmp_path / "copy")]) == 1

    assert "OCTOMIL_BLOB_URL" in capsys.readouterr().err


def test_settings_that_keep_things_elsewhere_are_named():
    from octomil.control.backups import check_is_embedded

    with pytest.raises(ConfigurationError, match="pg_dump"):
        check_is_embedded("postgresql://x/y", None)


def test_folders_may_be_named_as_they_stand_from_here(
    plane: ControlPlane, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    monkeypatch.chdir(folder.parent)

    assert main(["backup", folder.name, "copy"]) == 0
    assert main(["restore", "copy", "again"]) == 0

    capsys.readouterr()
    assert main(["fsck", "again"]) == 0
    assert "0 of 5 blobs differ" in capsys.readouterr().out


def test_a_backup_of_a_format_that_is_not_known_is_not_restored(
    plane: ControlPlane, folder: Path, tmp_path: Path
):
    copy, new = tmp_path / "copy", tmp_path / "new"
    back_up(data_folder_at(folder), copy)
    (copy / "FORMAT").write_text("octomil control plane, format 9\n")

    with pytest.raises(DataFolderError, match="format 9"):
        restore(copy, new)

    assert not new.exists()


def epoch_of(plane: ControlPlane) -> int:
    with plane.store.system_snapshot() as tx:
        return int(tx.setting(EPOCH_SETTING) or 0)


def test_devices_that_went_on_after_the_backup_go_on_after_the_restore(
    plane: ControlPlane, folder: Path, tmp_path: Path
):
    copy, new = tmp_path / "copy", tmp_path / "new"
    asked = BootstrapRequest(device_identifier="box-1", scopes=["devices:write"])
    first = plane.device_auth.bootstrap(ADMIN, asked)
    back_up(data_folder_at(folder), copy)
    known = plane.device_auth.refresh(plane.device_auth.refresh(first.refresh_token).refresh_token)
    restore(copy, new)

    with open_data_folder(new) as opened:
        again = build_plane(Settings(), opened)
        auth = again.device_auth
        following = auth.refresh(known.refresh_token)
        assert following.device_id == first.device_id
        assert auth.refresh(known.refresh_token).device_id == first.device_id  # a lost answer
        assert operations(again)[-1] == "device_tokens.restore"
        with pytest.raises(UnauthorizedError):  # once is enough: this one is a copy
            auth.refresh(following.refresh_token[:-1] + "#")
        assert epoch_of(again) > epoch_of(plane)
        again.close()


def forgeries(old: str, later: str, others: str) -> dict[str, str]:
    """Return what somebody may make of tokens that are known: how → text."""
    family, secret, rotations, key_id, tag = later.split(".")
    return {
        "no secret": f"{family}.x",
        "another secret": f"{family}.{'A' * len(secret)}.{rotations}.{key_id}.{tag}",
        "a later number": f"{family}.{secret}.{int(rotations) + 1}.{key_id}.{tag}",
        "a number that is none": f"{family}.{secret}.-1.{key_id}.{tag}",
        "a secret key that is none": f"{family}.{secret}.{rotations}.{'0' * 8}.{tag}",
        "no tag": f"{family}.{secret}.{rotations}.{key_id}.",
        "a tag of no ASCII": f"{family}.{secret}.{rotations}.{key_id}.é",
        "what followed in another family": ".".join([family, *others.split(".")[1:]]),
        "a copy from before the backup": old,
    }


def test_after_a_restore_no_token_is_taken_that_was_not_given_out_since_the_backup(
    plane: ControlPlane, folder: Path, tmp_path: Path
):
    copy, new = tmp_path / "copy", tmp_path / "new"
    auth = plane.device_auth

    def following(text: str) -> str:
        return auth.refresh(text).refresh_token

    hows = list(forgeries("", "a.b.1.d.e", ""))
    asked = [BootstrapRequest(device_identifier=how, scopes=["devices:write"]) for how in hows]
    old = {each.device_identifier: auth.bootstrap(ADMIN, each).refresh_token for each in asked}
    kept = {how: following(following(text)) for how, text in old.items()}
    back_up(data_folder_at(folder), copy)
    later = {how: following(text) for how, text in kept.items()}
    restore(copy, new)

    with open_data_folder(new) as opened:
        again = build_plane(Settings(), opened)
        for how, after in zip(hows, [*hows[1:], hows[0]], strict=True):
            forged = forgeries(old[how], later[how], later[after])[how]
            with pytest.raises(UnauthorizedError):
                again.device_auth.refresh(forged)
        assert "device_tokens.restore" not in operations(again)
        again.close()
