"""The file of coefficients: what is written is read back, and nothing else is."""

import random
import struct
from dataclasses import replace
from zlib import crc32

import pytest

from octomil.errors import ConfigurationError
from octomil.routing.coefficients import MAGIC, MAX_BYTES, SHIPPED, load, parse
from octomil.routing.router import QueryRouter
from octomil.routing.tiers import assign_tiers

DATA = SHIPPED.read_bytes()
GOOD = parse(DATA)


def with_checksum(body: bytes) -> bytes:
    return MAGIC + crc32(body).to_bytes(4, "little") + body


def test_what_ships_is_small_and_reads_back_the_same():
    assert len(DATA) <= MAX_BYTES == 256 * 1024
    assert GOOD.to_bytes() == DATA
    assert GOOD.rows > 10_000


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "does not begin as one"),
        (b"PK\x03\x04" + DATA, "does not begin as one"),
        (DATA[:20], "cut off"),
        (DATA[:-1], "bytes instead of"),
        (DATA + b"\0", "bytes instead of"),
        (DATA[:40] + bytes([DATA[40] ^ 1]) + DATA[41:], "checksum is wrong"),
        (DATA[:12] + b"\xff" + DATA[13:], "2\\^255 buckets"),
        (b"\0" * (MAX_BYTES + 1), "larger than 256 KiB"),
    ],
)
def test_a_damaged_file_is_refused(data, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse(data)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"spread": 0.0}, "scale does not ascend"),
        ({"anchors": (1.0, 1.0)}, "scale does not ascend"),
        ({"anchors": (float("nan"), 1.0)}, "a number that is none"),
        ({"gram_unit": float("inf")}, "a number that is none"),
        ({"style": (-1.0, *GOOD.style[1:])}, "longer prompts would count as simpler"),
        ({"gain_at": ((0.0, 0.2), (1.0, 0.1))}, "expected gain does not ascend"),
        ({"gain_at": ()}, "not what is known"),
    ],
)
def test_numbers_without_meaning_are_refused(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse(replace(GOOD, **change).to_bytes())


def test_any_flipped_bit_is_noticed():
    chance = random.Random(0)
    for _ in range(200):
        at = chance.randrange(len(DATA))
        broken = bytearray(DATA)
        broken[at] ^= 1 << chance.randrange(8)
        with pytest.raises(ValueError, match=r"\w"):
            parse(bytes(broken))


def test_random_bytes_behind_a_right_checksum_are_refused_or_usable():
    chance = random.Random(1)
    for _ in range(200):
        body = bytearray(DATA[12:])
        for _ in range(4):
            body[chance.randrange(60)] = chance.randrange(256)
        try:
            parse(with_checksum(bytes(body)))
        except ValueError:
            continue
        except struct.error:  # pragma: no cover - the failure this test is for
            pytest.fail("a hostile header reached the unpacking")


@pytest.mark.parametrize("name", ["missing.bin", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(ConfigurationError, match="cannot read the routing model"):
        load(tmp_path / name)


def test_a_router_takes_the_path_of_a_file(tmp_path):
    path = tmp_path / "mine.bin"
    path.write_bytes(replace(GOOD, anchors=(-9.0, -8.0)).to_bytes())
    question = [{"role": "user", "content": "blorp fizz"}]
    models = assign_tiers(["small", "medium", "large"])

    assert QueryRouter(models).route(question).model_name == "medium"
    assert QueryRouter(models, model_path=str(path)).route(question).model_name == "large"

    path.write_bytes(b"nonsense")
    with pytest.raises(ConfigurationError, match=r"mine\.bin is no routing model.*calibrate"):
        QueryRouter(models, model_path=path)
