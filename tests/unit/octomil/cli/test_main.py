"""The dispatcher: it finds the command, and turns what goes wrong into one line and a status."""

import os
import subprocess
import sys
from types import SimpleNamespace

import click
import pytest

from octomil import __version__
from octomil.cli import main as dispatcher
from octomil.cli.main import COMMANDS, main
from octomil.errors import UnknownModelError


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_every_command(words, capsys):
    assert main(words) == 0

    shown = capsys.readouterr().out
    assert all(name in shown and line in shown for name, line in COMMANDS.items())


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_the_version_is_told(word, capsys):
    assert main([word]) == 0
    assert capsys.readouterr().out == f"octomil {__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name, capsys):
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: octomil {name}")


def test_a_typo_gets_a_suggestion(capsys):
    assert main(["serv"]) == 2
    error = "error: there is no command 'serv'; did you mean `octomil serve`?\n"
    assert capsys.readouterr().err == error


def test_a_strange_command_gets_the_list(capsys):
    assert main(["zzz"]) == 2
    assert "`octomil --help` lists them" in capsys.readouterr().err


def test_a_wrong_flag_is_a_usage_error(capsys):
    assert main(["pull", "--quick"]) == 2
    assert "No such option" in capsys.readouterr().err


def test_our_errors_are_one_line_and_status_1(capsys):
    assert main(["serve", "no-such-model"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: no model is called 'no-such-model'")


@pytest.fixture
def command(monkeypatch):
    """Put a command whose body is `callback` in the place of `doctor`."""

    def install(callback):
        module = SimpleNamespace(command=click.Command("doctor", callback=callback))
        monkeypatch.setattr(dispatcher, "import_module", lambda _: module)

    return install


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (3, 3), (True, 1), ("x", 0)])
def test_what_a_command_returns_is_the_status(command, returned, status):
    command(lambda: returned)

    assert main(["doctor"]) == status


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnknownModelError("none of that name"), 1),
        (click.Abort(), 130),
        (KeyboardInterrupt(), 130),
        (click.UsageError("no"), 2),
    ],
)
def test_what_a_command_raises_is_turned_into_a_status(command, error, status):
    def fail():
        raise error

    command(fail)

    assert main(["doctor"]) == status


@pytest.mark.parametrize("words", [[], ["--help"], ["--version"], ["models", "--help"]])
def test_a_reader_who_leaves_is_no_failure(words):
    command = [sys.executable, "-m", "octomil.cli.main", *words]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(writing)

    assert (done.returncode, done.stderr) == (0, b"")


def test_a_fault_of_ours_keeps_its_traceback(command):
    def fail():
        raise ZeroDivisionError

    command(fail)

    with pytest.raises(ZeroDivisionError):
        main(["doctor"])


def test_the_program_exits_with_the_status():
    done = subprocess.run(
        [sys.executable, "-m", "octomil.cli.main", "serv"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 2
    assert done.stdout == ""
