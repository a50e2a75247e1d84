import gzip
import json

import pytest

from octomil.errors import ConfigurationError
from octomil.routing.calibration.lines import JsonLines

MIB = 1 << 20


def write(path, sound, *bad):
    path.write_bytes(b"\n".join([*(b"%d" % n for n in range(sound)), *bad]))
    return path


def test_values_are_in_the_order_of_the_file_without_blank_lines(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(b"1\n\n  \n2\n3"))

    assert list(JsonLines(path, str)) == ["1", "2", "3"]


def test_lines_that_make_no_sense_are_counted_and_the_first_is_named(tmp_path):
    log = JsonLines(write(tmp_path / "log", 18, b'{"cut', b"\xff"), int)

    assert list(log) == list(range(18))
    assert log.skipped == 2
    assert log.first_fault.startswith("line 19: not JSON")
    assert list(log) == list(range(18))
    assert log.skipped == 2


def test_too_many_of_them_are_no_log(tmp_path):
    log = JsonLines(write(tmp_path / "log", 17, b"{", b"{"), int)

    with pytest.raises(ConfigurationError, match=r"line 18: .*; 2 of 19 lines .* more than 10%"):
        list(log)


def test_what_the_values_are_made_of_may_be_at_fault_as_well(tmp_path):
    log = JsonLines(write(tmp_path / "log", 18, json.dumps("x").encode()), int)

    assert list(log) == list(range(18))
    assert log.first_fault == "line 19: invalid literal for int() with base 10: 'x'"


def test_strict_log_stops_at_the_first_of_them(tmp_path):
    log = JsonLines(write(tmp_path / "log", 18, b"{", b"{"), int, strict=True)

    with pytest.raises(ConfigurationError, match="log, line 19: not JSON"):
        list(log)


@pytest.mark.parametrize("size", [4 * MIB + 1, 8 * MIB, 8 * MIB + 2, 13 * MIB])
def test_line_that_is_too_long_is_one_line(tmp_path, size):
    log = JsonLines(write(tmp_path / "log", 18, b"1" * size, b"18"), int)

    assert list(log) == list(range(19))
    assert (log.skipped, log.first_fault) == (1, "line 19: longer than 4 MiB")
