"""Logs as people write them: read, or refused with the number of the line."""

import gzip
import json
import re

import pytest

from octomil.errors import ConfigurationError
from octomil.routing.calibration.logs import MIN_ROWS, Row, read_log, row_log

GOOD = {"prompt": "Why?", "weak": 0, "strong": 1.0, "topic": "physics"}


def write(path, *extra, rows=MIN_ROWS):
    lines = [json.dumps(GOOD)] * rows + [
        each if isinstance(each, str) else json.dumps(each) for each in extra
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read(path, *, strict=False):
    return read_log(row_log(path, strict=strict))


def test_rows_are_read_plain_or_gzipped(tmp_path):
    plain = write(tmp_path / "log.jsonl", "", {"prompt": "Who?", "weak": 0.5, "strong": 0.5})
    packed = tmp_path / "log.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))

    rows = read(plain)

    assert rows[0] == Row("Why?", 0.0, 1.0, "physics")
    assert rows[-1] == Row("Who?", 0.5, 0.5)
    assert read(packed) == rows


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{oops", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "expected an object"),
        ({"weak": 0, "strong": 1}, '"prompt" must be a text'),
        ({**GOOD, "prompt": " "}, '"prompt" must be a text'),
        ({**GOOD, "topic": 3}, '"topic" must be a text'),
        ({"prompt": "x", "weak": 0}, '"strong" is missing'),
        ({**GOOD, "weak": "0"}, "between 0 and 1, got '0'"),
        ({**GOOD, "strong": True}, "between 0 and 1, got True"),
        ({**GOOD, "weak": 1.5}, "between 0 and 1, got 1.5"),
        ('{"prompt": "x", "weak": NaN, "strong": 1}', "between 0 and 1, got nan"),
        ("x" * (4 << 20) + "x", "longer than 4 MiB"),
    ],
    ids=range(12),
)
def test_a_bad_line_is_left_out_or_refused_with_its_number(tmp_path, line, complaint):
    path = write(tmp_path / "log.jsonl", line, GOOD)
    log = row_log(path)

    assert read_log(log) == [Row("Why?", 0.0, 1.0, "physics")] * (MIN_ROWS + 1)
    assert log.skipped == 1
    assert re.match(f"line {MIN_ROWS + 1}: .*{complaint}", log.first_fault)
    with pytest.raises(ConfigurationError, match=f"line {MIN_ROWS + 1}: .*{complaint}"):
        read(path, strict=True)


def test_too_few_rows_are_too_few(tmp_path):
    with pytest.raises(ConfigurationError, match="has 3 rows; calibration needs at least"):
        read(write(tmp_path / "log.jsonl", rows=3))


def test_swapped_scores_are_noticed(tmp_path):
    path = write(tmp_path / "log.jsonl", *[{**GOOD, "weak": 1, "strong": 0}] * 200)

    with pytest.raises(ConfigurationError, match="are the two scores swapped"):
        read(path)


def test_a_file_that_is_not_there_or_not_whole_is_named(tmp_path):
    broken = tmp_path / "log.gz"
    broken.write_bytes(gzip.compress(json.dumps(GOOD).encode())[:-9])

    for path in (tmp_path / "missing", broken, tmp_path):
        with pytest.raises(ConfigurationError, match=f"cannot read {path}"):
            read(path)
