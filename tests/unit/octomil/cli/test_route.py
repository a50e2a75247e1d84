"""`octomil route`: what people read, and what programs read."""

import json

import pytest

from octomil.cli.main import main
from octomil.routing.coefficients import load
from support.documents import ROOT

LOG = str(ROOT / "tests/data/routing_prompts.jsonl")


def run(capsys, *words):
    status = main(["route", *words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_calibrate_writes_a_file_that_explain_reads(capsys, tmp_path):
    out = str(tmp_path / "mine.bin")

    status, text, _ = run(capsys, "calibrate", LOG, "--out", out, "--strong-share", "0.2")
    explained, _, _ = run(capsys, "explain", "hello", "--model-path", out)

    assert (status, explained) == (0, 0)
    for word in ("APGR", "CPT50", "CPT80", "word count", "chance", "20.0% asked for"):
        assert word in text
    assert "thresholds: 0.3, 0.7" in text
    assert load(tmp_path / "mine.bin").strong_share == pytest.approx(0.2)


def test_calibrate_as_json(capsys, tmp_path):
    out = str(tmp_path / "mine.bin")
    _, text, _ = run(capsys, "calibrate", LOG, "--out", out, "--json")
    report = json.loads(text)

    assert report["out"] == out
    assert (report["rows"], report["skipped"]) == (300, 0)
    assert report["held_out_by"] == "topic"
    assert set(report["lines"]) == {"calibrated", "word count", "chance"}
    assert report["thresholds"] == [0.3, 0.7]


def calibrated(capsys, log, out, *words):
    """Calibrate twice: return what people read and what programs read."""
    words = ("calibrate", str(log), "--out", str(out), *words)
    _, text, _ = run(capsys, *words)
    _, as_json, _ = run(capsys, *words, "--json")
    return text, json.loads(as_json)


def write_topics(path, gains):
    """Write rows whose words and gain are those of their topic: none tells of another."""
    rows = [
        {"prompt": f"{topic * 5} row {number}", "weak": 0, "strong": gain, "topic": topic}
        for topic, gain in gains.items()
        for number in range(25)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_calibrate_needs_gain_in_more_than_one_of_the_topics(capsys, tmp_path):
    log = write_topics(tmp_path / "log.jsonl", {"a": 1, "b": 0, "c": 0, "d": 0, "e": 0})
    out = tmp_path / "mine.bin"

    status, _, error = run(capsys, "calibrate", str(log), "--out", str(out))

    assert status == 1
    assert "no better than the weak one once a fifth" in error
    assert not out.exists()


def test_calibrate_warns_where_rows_not_seen_miss_the_share(capsys, tmp_path):
    log = write_topics(tmp_path / "log.jsonl", {"a": 1, "b": 1, "c": 0, "d": 0, "e": 0})

    text, report = calibrated(capsys, log, tmp_path / "mine.bin", "--strong-share", "0.25")

    assert abs(report["strong_share_held_out"] - 0.25) > 0.1
    assert f"warning: {report['warnings'][0]}\n" in text
    assert "to the strongest model" in report["warnings"][0]


def test_calibrate_does_not_warn_where_the_share_is_hit(capsys, tmp_path):
    text, report = calibrated(capsys, LOG, tmp_path / "mine.bin")

    assert abs(report["strong_share_held_out"] - 0.3) < 0.1
    assert report["warnings"] == []
    assert "warning" not in text


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (["calibrate", "missing.jsonl"], 1, "cannot read missing.jsonl"),
        (["calibrate", LOG, "--out", "no/such/folder/x"], 1, "cannot write no/such/folder/x"),
        (["calibrate", LOG, "--strong-share", "1"], 2, "--strong-share"),
        (["calibrate", LOG, "--strong-share", ".6", "--balanced-share", ".4"], 2, "below 1"),
        (["explain", "hello", "--model-path", LOG], 1, "is no routing model"),
    ],
)
def test_mistakes_are_told_in_one_line(capsys, tmp_path, monkeypatch, words, status, complaint):
    monkeypatch.chdir(tmp_path)

    found, _, error = run(capsys, *words)

    assert found == status
    assert complaint in error


def test_calibration_without_numpy_says_what_is_missing(capsys, monkeypatch, tmp_path):
    import sys

    for name in [n for n in sys.modules if n.startswith("octomil.routing.calibration")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numpy", None)

    status, _, error = run(capsys, "calibrate", LOG, "--out", str(tmp_path / "x"))

    assert status == 1
    assert "needs numpy" in error
