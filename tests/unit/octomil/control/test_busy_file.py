"""A database file that another program keeps to itself."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from octomil.control.ports import StoreBusyError
from octomil.control.stores import sqlite
from octomil.control.stores.catalog import open_store
from support.waiting import PATIENCE_S


def test_what_cannot_be_begun_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sqlite, "_PATIENCE_S", 0.001)
    path = tmp_path / "octomil.sqlite3"
    store = open_store(f"sqlite:///{path}")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusyError, match="it is busy"), store.system():
            pass
        other.execute("ROLLBACK")

    with store.system() as tx:
        tx.put_setting("a", "1")
    store.close()


def test_the_log_is_emptied_once_another_who_does_so_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "octomil.sqlite3"
    store, rests, emptied = open_store(f"sqlite:///{path}"), [], sqlite._is_emptied
    monkeypatch.setattr(sqlite, "_is_emptied", lambda one: bool(rests) and emptied(one))
    monkeypatch.setattr(sqlite, "sleep", rests.append)
    monkeypatch.setattr(sqlite, "_SCRUB_WAIT_S", PATIENCE_S)
    with store.system() as tx:
        tx.put_setting("a", "1")

    store.scrub()

    assert len(rests) == 1
    assert path.with_name("octomil.sqlite3-wal").stat().st_size == 0
    store.close()
