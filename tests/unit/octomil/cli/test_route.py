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


def test_explain_shows_tier_models_score_and_signals(capsys):
    status, out, _ = run(
        capsys, "explain", "Write a parser in Python", "--models", "tiny,middle,big"
    )

    assert status == 0
    assert "3 (quality)" in out
    assert "big → middle → tiny" in out
    assert "µs" in out
    for name in ("word count", "technical vocabulary", "code", "conversation depth"):
        assert name in out


def test_explain_without_models_names_none(capsys):
    _, out, _ = run(capsys, "explain", "hello")

    assert "1 (fast)" in out
    assert "models" not in out


def test_explain_shows_the_answer_where_no_model_is_needed(capsys):
    _, out, _ = run(capsys, "explain", "What is 15% of 240?")
    _, text, _ = run(capsys, "explain", "What is 15% of 240?", "--json")
    found = json.loads(text)

    assert "36.0" in out
    assert "signal" not in out
    assert (found["tier_number"], found["answer"], found["method"]) == (0, "36.0", "percentage")
    assert found["score"] is None


def test_explain_as_json_tells_the_same(capsys):
    _, out, _ = run(capsys, "explain", "hello", "--models", "a,b", "--system", "Rules.", "--json")
    found = json.loads(out)

    assert (found["tier"], found["model"], found["fallback_chain"]) == ("fast", "a", ["b"])
    assert 0 <= found["score"] < 0.3
    assert found["routing_latency_us"] > 0
    signals = {each["name"]: each for each in found["signals"]}
    assert signals["instructions"]["contribution"] > 0 > signals["simple"]["contribution"]


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
    assert report["rows"] == 300
    assert report["held_out_by"] == "topic"
    assert set(report["lines"]) == {"calibrated", "word count", "chance"}
    assert report["thresholds"] == [0.3, 0.7]


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
