"""Entering write-ahead-log mode while others hold the file."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from octomil import write_ahead_log
from octomil.write_ahead_log import write_ahead


def connect(path: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(path, isolation_level=None, timeout=0))


def mode(connection: sqlite3.Connection) -> str:
    ((found,),) = connection.execute("PRAGMA journal_mode").fetchall()
    return str(found)


def test_a_new_file_enters_it_and_remembers(tmp_path: Path):
    with connect(tmp_path / "a.sqlite3") as connection:
        write_ahead(connection, patience_s=0)
        connection.execute("CREATE TABLE t (x)")
    with connect(tmp_path / "a.sqlite3") as again:
        assert mode(again) == "wal"


def test_who_holds_the_file_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with connect(tmp_path / "a.sqlite3") as other, connect(tmp_path / "a.sqlite3") as connection:
        other.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr(write_ahead_log, "sleep", lambda _s: other.execute("ROLLBACK"))
        write_ahead(connection, patience_s=60)
        assert mode(connection) == "wal"


def test_a_file_that_stays_locked_is_an_error(tmp_path: Path):
    with connect(tmp_path / "a.sqlite3") as other, connect(tmp_path / "a.sqlite3") as connection:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            write_ahead(connection, patience_s=0.05)


def test_what_no_waiting_mends_is_told_at_once(tmp_path: Path):
    path = tmp_path / "a.sqlite3"
    path.write_bytes(b"no database at all" * 100)
    with connect(path) as connection, pytest.raises(sqlite3.DatabaseError, match="not a database"):
        write_ahead(connection, patience_s=3600)
