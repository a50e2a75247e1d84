import hashlib
import hmac

import pytest

from epochly.inference.privacy.audit import chain_digest
from epochly.inference.privacy.audit.chain import (
    GENESIS,
    Link,
    RecordError,
    canonical_json,
    parse_line,
)

KEY = b"k" * 32
ENTRY = canonical_json({"operation": "gate", "x": 1.5})


def test_a_digest_covers_what_it_says():
    text = b'{"a":1,"b":"\\u00e9"}'
    message = b"epochly audit chain 1\0" + GENESIS + len(text).to_bytes(8, "big") + text

    assert chain_digest(GENESIS, {"b": "é", "a": 1}) == hashlib.sha256(message).digest()
    assert chain_digest(GENESIS, {"b": "é", "a": 1}, key=KEY) == (
        hmac.new(KEY, message, hashlib.sha256).digest()
    )


def test_a_digest_is_that_of_its_record_and_place():
    first = chain_digest(GENESIS, {"n": 1})

    assert first != chain_digest(GENESIS, {"n": 2})
    assert chain_digest(first, {"n": 1}) != first


@pytest.mark.parametrize(
    ("previous", "record", "error"),
    [
        (b"short", {}, ValueError),
        (GENESIS, {"x": float("nan")}, ValueError),
        (GENESIS, {"x": object()}, TypeError),
    ],
)
def test_what_cannot_be_chained_is_refused(previous: bytes, record: dict, error: type):
    with pytest.raises(error):
        chain_digest(previous, record)


def test_a_link_is_chained_by_the_public_digest():
    link = Link.after(4, b"p" * 32, ENTRY, KEY)

    record = {"sequence": 5, "entry": {"operation": "gate", "x": 1.5}}
    assert (link.sequence, link.previous) == (5, b"p" * 32)
    assert link.digest == chain_digest(b"p" * 32, record, key=KEY)


def test_a_line_is_read_back():
    link = Link.after(0, GENESIS, ENTRY, None)

    assert parse_line(link.line()) == link
    link.check_follows(0, GENESIS, None)


@pytest.mark.parametrize(
    ("sequence", "digest", "key", "message"),
    [
        (1, GENESIS, None, "number 1 where 2 belongs"),
        (0, b"x" * 32, None, "does not follow"),
        (0, GENESIS, KEY, "was edited"),
    ],
)
def test_a_link_in_the_wrong_place_says_why(sequence, digest, key, message):
    link = Link.after(0, GENESIS, ENTRY, None)

    with pytest.raises(RecordError, match=message):
        link.check_follows(sequence, digest, key)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"{}\n",
        b"[]\n",
        b"7\n",
        b"\xff\n",
        b"[" * 100_000 + b"\n",
        Link.after(0, GENESIS, ENTRY, None).line()[:-1],
        Link.after(0, GENESIS, ENTRY, None).line().replace(b":", b": ", 1),
        Link(1, ENTRY, b"short", GENESIS).line(),
        Link.after(0, GENESIS, b'{"x": 1}', None).line(),
        Link.after(0, GENESIS, b'{"x":NaN}', None).line(),
    ],
)
def test_what_is_no_record_is_refused(line: bytes):
    with pytest.raises(RecordError):
        parse_line(line)
