import json

import pytest

from octomil.cli.main import main

MODELS = "smollm2-135m,qwen2.5-coder-1.5b"


@pytest.fixture
def log(tmp_path):
    def write(*records):
        path = tmp_path / "log.jsonl"
        path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
        return str(path)

    return write


def asked(text, **more):
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    return {"messages": [{"role": "user", "content": text}], "usage": usage, **more}


def report(capsys, *arguments):
    assert main(["route", "replay", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_report_counts_saves_and_judges(log, capsys):
    path = log(
        asked("Hello!", scores={"weak": 1, "strong": 1}),
        asked("What is 2+2?", scores={"weak": 0, "strong": 1}),
    )

    found = report(capsys, path, "--models", MODELS, "--price", "qwen2.5-coder-1.5b=1/2")

    assert found["requests"] == 2
    assert {name: share["requests"] for name, share in found["models"].items()} == {
        "tier0": 1, "smollm2-135m": 1, "qwen2.5-coder-1.5b": 0,
    }  # fmt: skip
    assert found["saved"]["dollars"] == 1.0
    assert found["saved"]["compute"] == pytest.approx(1 - 0.135 / 1.5 / 2)
    assert found["quality"] == {
        "requests": 2, "routed": 1.0, "smallest": 0.5, "largest": 1.0, "gap_recovered": 1.0,
    }  # fmt: skip


def test_report_for_people(log, capsys):
    path = log(asked("Hello!"), {"prompt": "Hi"})

    assert main(["route", "replay", path, "--models", MODELS]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2 requests"
    assert lines[4].split() == ["smollm2-135m", "2", "100.0%", "101", "10"]
    assert "saved  91.0% of the compute, compared with qwen2.5-coder-1.5b" in lines
    assert 'quality is not known: that needs "scores" of each model a request would go to' in lines
    assert lines[-1].startswith('1 requests tell no "usage"')


def test_lines_that_make_no_sense_are_left_out_and_counted(tmp_path, capsys):
    path = tmp_path / "log.jsonl"
    lines = [json.dumps(asked("Hello!"))] * 10
    path.write_text("\n".join([*lines, '{"messages": [{"role": "us']))

    found = report(capsys, str(path), "--models", "a,b")

    assert found["requests"] == 10
    assert found["skipped"]["lines"] == 1
    assert found["skipped"]["first"].startswith("line 11: not JSON")
    assert main(["route", "replay", str(path), "--models", "a,b"]) == 0
    assert "1 lines make no sense, left out; the first is line 11" in capsys.readouterr().out
    assert main(["route", "replay", str(path), "--models", "a,b", "--strict"]) == 1
    assert "line 11: not JSON" in capsys.readouterr().err


def test_models_nobody_knows_save_no_known_compute(log, capsys):
    assert report(capsys, log(asked("Hello!")), "--models", "a,b")["saved"]["compute"] is None


@pytest.mark.parametrize(
    ("records", "arguments", "complaint"),
    [
        ([], (), "has no requests"),
        ([asked("Hi"), {"messages": 3}], (), 'line 2: no "messages"'),
        ([asked("Hi")], ("--price", "other=1/2"), "--price for 'other'"),
        ([asked("Hi")], ("--price", "b=cheap"), "'cheap' is not a price"),
    ],
)
def test_what_makes_no_sense_is_refused(log, capsys, records, arguments, complaint):
    assert main(["route", "replay", log(*records), "--models", "a,b", *arguments]) > 0
    assert complaint in capsys.readouterr().err


def test_a_log_that_is_not_there(tmp_path, capsys):
    assert main(["route", "replay", str(tmp_path / "none"), "--models", "a,b"]) == 1
    assert "cannot read" in capsys.readouterr().err
