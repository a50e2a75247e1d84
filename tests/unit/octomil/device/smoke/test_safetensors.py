"""Every number of a file of safetensors is looked at."""

import json
import struct
from pathlib import Path

import pytest

from octomil.device.smoke.safetensors import try_safetensors
from octomil.device.smoke.trial import FailedTrialError


def written(path: Path, dtype: str, data: bytes, shape: list[int]) -> Path:
    tensor = {"dtype": dtype, "shape": shape, "data_offsets": [0, len(data)]}
    header = json.dumps({"__metadata__": {"by": "us"}, "w": tensor}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


@pytest.mark.parametrize(
    ("dtype", "largest", "none"),
    [("F64", struct.pack("<d", -1.5e308), struct.pack("<d", float("nan"))),
     ("F32", struct.pack("<f", 3.0e38), struct.pack("<f", float("nan"))),
     ("F16", struct.pack("<e", 65504.0), b"\x01\xfc"),
     ("BF16", b"\x7f\x7f", b"\x81\x7f"),
     ("F8_E5M2", b"\x7b", b"\x7d"),
     ("F8_E4M3", b"\x7e", b"\xff")],
)  # fmt: skip
def test_the_largest_number_passes_and_what_is_none_does_not(
    tmp_path: Path, dtype: str, largest: bytes, none: bytes
):
    assert try_safetensors(written(tmp_path / "good", dtype, largest * 3, [3])) == ""
    with pytest.raises(FailedTrialError, match="'w' has values that are not numbers"):
        try_safetensors(written(tmp_path / "bad", dtype, largest * 2 + none, [3]))


@pytest.mark.parametrize(
    ("dtype", "infinite"),
    [("F64", struct.pack("<d", float("-inf"))), ("F32", struct.pack("<f", float("inf"))),
     ("F16", struct.pack("<e", float("-inf"))), ("BF16", b"\x80\xff"), ("F8_E5M2", b"\x7c")],
)  # fmt: skip
def test_infinity_as_in_a_mask_is_told_and_is_no_fault(tmp_path: Path, dtype: str, infinite: bytes):
    path = written(tmp_path / "w", dtype, infinite + bytes(len(infinite)), [2])

    assert try_safetensors(path) == "infinite values in w"


def test_integers_are_read_and_are_all_finite(tmp_path: Path):
    try_safetensors(written(tmp_path / "w", "I64", b"\xff" * 16, [2]))


def test_a_shape_that_its_bytes_do_not_fill_is_refused(tmp_path: Path):
    with pytest.raises(FailedTrialError, match="not as many bytes"):
        try_safetensors(written(tmp_path / "w", "F32", bytes(8), [3]))
