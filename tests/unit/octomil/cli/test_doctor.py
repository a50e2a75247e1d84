"""`octomil doctor` as a person meets it; the judgements are tested beside `octomil.doctor`."""

import json

import pytest
from click.testing import CliRunner, Result

from octomil.cli import doctor
from octomil.doctor.finding import Finding, note, ok, problem

FINE = ok("python", "3.11.7")
ABSENT = note("ollama", "no answer from localhost", "start it")
BROKEN = problem("aiohttp", "not installed", "python -m pip install 'aiohttp>=3.13'")


@pytest.fixture
def run(monkeypatch):
    """Run the command on findings that are given instead of looked for."""

    def run(findings: list[Finding], *arguments: str, color: bool = False) -> Result:
        monkeypatch.setattr(doctor, "examine", lambda **_: iter(findings))
        return CliRunner().invoke(
            doctor.command, arguments, color=color, standalone_mode=False, catch_exceptions=False
        )

    return run


def test_one_line_per_check_and_a_hint_where_one_helps(run):
    result = run([FINE, ABSENT])

    assert result.stdout.splitlines() == [
        "ok       python            3.11.7",
        "note     ollama            no answer from localhost",
        "                           → start it",
        "",
        "0 problems, 1 note",
    ]
    assert result.return_value == 0


def test_a_problem_decides_the_exit_status(run):
    assert run([FINE, BROKEN]).return_value == 1
    assert run([FINE, BROKEN], "--json").return_value == 1


def test_json_holds_the_same(run):
    report = json.loads(run([FINE, BROKEN], "--json").stdout)

    assert report["ok"] is False
    assert report["findings"][1] == {
        "check": "aiohttp",
        "status": "problem",
        "detail": "not installed",
        "hint": "python -m pip install 'aiohttp>=3.13'",
    }


def test_colour_is_for_terminals(run):
    assert "\x1b[" not in run([FINE, BROKEN]).stdout
    assert "\x1b[31mproblem\x1b[0m" in run([FINE, BROKEN], color=True).stdout


def test_a_real_examination_is_printed(tmp_path):
    environ = {"OCTOMIL_CACHE_DIR": str(tmp_path), "PIP_NO_INDEX": "1"}
    environ |= {"HF_ENDPOINT": "http://127.0.0.1:9", "OLLAMA_BASE_URL": "http://127.0.0.1:9"}

    result = CliRunner().invoke(doctor.command, ["--json"], env=environ, standalone_mode=False)

    checks = [finding["check"] for finding in json.loads(result.stdout)["findings"]]
    assert {"python", "packages", "memory", "disk", "port", "models"} <= set(checks)
