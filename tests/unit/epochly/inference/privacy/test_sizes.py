import numpy as np
import pytest

from epochly.inference.privacy.sizes import size_in_bytes

LIMIT = 1 << 30


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("", 0),
        ("é", 2),
        ("\ud800", 3),
        (b"abc", 3),
        (bytearray(5), 5),
        (memoryview(b"1234"), 4),
        (None, 1),
        (True, 1),
        (7, 8),
        (1 << 800, 101),
        (1.5, 8),
        (1j, 16),
        (np.zeros((3, 4), dtype=np.float32), 48),
        ([1, "ab"], 16 + 8 + 2),
        ({"k": [b"12"]}, 16 + 1 + 8 + 2),
        ((frozenset({1}),), 8 + 8 + 8),
    ],
)
def test_sizes(value: object, size: int):
    assert size_in_bytes(value, LIMIT) == size


def test_a_list_that_contains_itself_ends_at_the_limit():
    endless: list = []
    endless.append(endless)

    assert size_in_bytes(endless, 1000) > 1000


def test_exponential_sharing_ends_at_the_limit():
    bomb: list = ["x" * 100]
    for _ in range(60):
        bomb = [bomb, bomb]

    assert 10_000 < size_in_bytes(bomb, 10_000) < 20_000


def test_what_cannot_be_measured_is_an_error():
    with pytest.raises(TypeError, match="size of a generator"):
        size_in_bytes([(x for x in ())], LIMIT)
