"""Asking for the files of rollouts where the blob store is down, over a real folder."""

import logging
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from octomil.control.blobs.catalog import open_blobs
from octomil.control.blobs.layout import key_of
from octomil.control.ports import BlobStore
from octomil.control.records import Rollout, VersionFile
from octomil.control.services.wave_files import ASKED_AGAIN, StoreAnswer, WaveFiles
from octomil.control.stores.sql import SqlStore
from support.rollout_rows import NOW, rollout

FILE = VersionFile(
    format="onnx", digest="ab" * 32, size_bytes=3, origin="original", name="m.onnx", created_at=NOW
)
ROLLOUTS = [rollout(number, model_id=f"mdl_{number}") for number in (1, 2, 3)]


def test_a_run_asks_a_store_that_is_down_once_and_each_rollout_has_its_turn(
    store: SqlStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    moment, asked = NOW, 0

    def clock() -> datetime:
        return moment

    blobs = open_blobs((tmp_path / "blobs").as_uri())
    folder = tmp_path / "blobs" / "sha256"
    folder.parent.mkdir(exist_ok=True)
    folder.write_bytes(b"no folder, so that no file in it can be asked for")
    look = type(blobs).size

    def size(self: BlobStore, digest: str) -> int | None:
        nonlocal asked
        asked += 1
        return look(self, digest)

    monkeypatch.setattr(type(blobs), "size", size)
    files = WaveFiles(store, blobs, clock)

    def run() -> tuple[list[Rollout], list[StoreAnswer | None]]:
        ordered = list(files.begin(ROLLOUTS))
        return ordered, [files.ask(each, [FILE]) for each in ordered]

    first, second, third = ROLLOUTS
    expected = [[first, second, third], [second, third, first], [third, first, second]]
    with caplog.at_level(logging.WARNING, "octomil.control"):
        for number, order in enumerate(expected, 1):
            assert run() == (order, [None] * 3)
            assert asked == number
            moment += timedelta(seconds=1)
        assert run()[1] == [None] * 3
    assert asked == 3, "all are left alone for a minute"
    assert [each.id for each in ROLLOUTS] == [
        record.args[0] for record in caplog.records if isinstance(record.args, tuple)
    ]

    folder.unlink()
    blob = tmp_path / "blobs" / key_of(FILE.digest)
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"abc")
    moment += ASKED_AGAIN
    assert run()[1] == [StoreAnswer()] * 3
