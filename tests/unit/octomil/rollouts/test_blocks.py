"""What must not be rolled out again."""

from datetime import UTC, datetime, timedelta

import pytest

from octomil.rollouts.blocks import (
    BlockedError,
    Ruling,
    files_digest,
    refuse_blocked,
    standing_block,
)

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def ruling(digest: str, is_block: bool, minute: int = 0) -> Ruling:
    at = BEGIN + timedelta(minutes=minute)
    return Ruling(digest=digest, is_block=is_block, at=at, actor="controller", reason="9 of 10")


def test_a_version_of_which_nothing_is_known_is_free():
    assert standing_block("new", [ruling("old", is_block=True)]) is None
    refuse_blocked("new", [ruling("old", is_block=True)])


def test_a_block_stands_until_it_is_lifted():
    block, lifted = ruling("one", is_block=True), ruling("one", is_block=False, minute=5)

    assert standing_block("one", [block]) is block
    assert standing_block("one", [block, lifted]) is None


def test_what_breaks_again_is_blocked_again():
    again = ruling("one", is_block=True, minute=9)
    rulings = [ruling("one", is_block=True), ruling("one", is_block=False, minute=5), again]

    assert standing_block("one", rulings) is again


def test_a_refusal_says_since_when_why_and_what_to_do():
    with pytest.raises(BlockedError, match=r"2026-01-01T00:00:00.*9 of 10.*lift") as refusal:
        refuse_blocked("one", [ruling("one", is_block=True)])

    assert isinstance(refusal.value, ValueError)


def test_a_version_is_known_by_its_model_and_its_files_in_any_order():
    known_by = files_digest("mdl_1", {"onnx": "ab", "pytorch": "cd"})

    assert known_by == files_digest("mdl_1", {"pytorch": "cd", "onnx": "ab"})
    others = [
        files_digest("mdl_2", {"onnx": "ab", "pytorch": "cd"}),
        files_digest("mdl_1", {"onnx": "cd", "pytorch": "ab"}),
        files_digest("mdl_1", {"onnx": "ab"}),
    ]
    assert len({known_by, *others}) == 4
