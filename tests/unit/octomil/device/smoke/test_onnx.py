"""The inputs that an ONNX model is tried with."""

import numpy as np
import pytest

from octomil.device.smoke.onnx import made_up
from octomil.device.smoke.trial import NotTriedError


@pytest.mark.parametrize(
    ("name", "kind", "shape", "expected"),
    [("x", "tensor(float)", ["batch", 2], np.full((1, 2), 0.5, np.float32)),
     ("ids", "tensor(int64)", [None, "n"], np.zeros((1, 1), np.int64)),
     ("attention_mask", "tensor(int64)", ["b", "past_length + n"], np.ones((1, 1), np.int64)),
     ("past.0.key", "tensor(float16)", ["b", 4, "past_length", 8],
      np.zeros((1, 4, 0, 8), np.float16)),
     ("use_cache", "tensor(bool)", [], np.array(False)),
     ("text", "tensor(string)", [-1], np.array(["a"], object))],
)  # fmt: skip
def test_inputs_are_made_from_what_is_declared(name: str, kind: str, shape: list, expected):
    given = made_up(name, kind, shape)

    assert given.dtype == expected.dtype
    np.testing.assert_array_equal(given, expected)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [("seq(tensor(float))", []), ("tensor(bfloat16)", [1]), ("tensor(float)", [1 << 40])],
)
def test_what_cannot_be_made_up_is_told(kind: str, shape: list):
    with pytest.raises(NotTriedError, match="'x'"):
        made_up("x", kind, shape)
