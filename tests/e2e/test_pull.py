"""`octomil pull` and `octomil models` as a person meets them."""

import json
import os
import pty
import subprocess
import sys

import pytest
from click.testing import CliRunner

from octomil.cli import models, pull
from octomil.errors import UnknownModelError
from support.hub import HubFile, running_hub
from support.models import MIB, clean_environ, make_gguf

TINY = "hf:acme/tiny/tiny.gguf"
DATA = make_gguf({"tokenizer.chat_template": "{{ messages }}"}, weight_bytes=MIB)


@pytest.fixture
def hub():
    with running_hub() as hub:
        hub.files["acme/tiny/tiny.gguf"] = HubFile(DATA)
        yield hub


@pytest.fixture
def run(hub, tmp_path):
    def run(command, *arguments, **environ):
        environ = {"OCTOMIL_CACHE_DIR": str(tmp_path), "HF_ENDPOINT": hub.url, **environ}
        result = CliRunner().invoke(command, arguments, env=environ, catch_exceptions=False)
        assert result.exit_code == 0
        return result

    return run


def test_a_model_is_pulled_once_and_then_is_here(run, hub):
    first = run(pull.command, TINY)
    requests = len(hub.seen)
    second = run(pull.command, TINY)

    assert first.stdout.startswith("tiny: pulled and verified, 1 MB at /")
    assert first.stdout.rstrip().endswith("model.gguf")
    assert second.stdout.startswith("tiny: already here, 1 MB at /")
    assert len(hub.seen) == requests


def test_names_come_with_commas_or_spaces(run, hub):
    hub.files["acme/tiny/other.gguf"] = HubFile(DATA)

    result = run(pull.command, f"{TINY},{TINY}@v2", "hf:acme/tiny/other.gguf", TINY)

    assert [line.split(":")[0] for line in result.stdout.splitlines()] == ["tiny", "tiny", "other"]


def test_json_is_one_object_per_model(run):
    facts = json.loads(run(pull.command, TINY, "--json").stdout)

    assert (facts["name"], facts["size_bytes"], facts["already_here"]) == ("tiny", len(DATA), False)
    assert facts["reference"] == "hf:acme/tiny/tiny.gguf@main"
    assert len(facts["sha256"]["model.gguf"]) == 64


def test_verify_hashes_what_is_here(run):
    run(pull.command, TINY)

    assert "already here and verified" in run(pull.command, TINY, "--verify").stdout


def test_force_fetches_again(run, hub):
    run(pull.command, TINY)

    assert "tiny: pulled and verified" in run(pull.command, TINY, "--force").stdout
    assert len(hub.body_requests()) == 2


def test_engines_without_files_do_not_stop_the_others(run):
    result = run(pull.command, f"echo,ollama:llama3.2,{TINY}")

    assert "echo:echo runs without files of ours: nothing to pull" in result.stderr
    assert result.stdout.startswith("tiny: pulled")


def test_a_typo_shows_before_anything_is_fetched(run, hub):
    with pytest.raises(UnknownModelError, match="did you mean smollm2-135m"):
        run(pull.command, TINY, "smollm2-135")

    assert hub.seen == []


def test_waiting_is_announced(run, hub):
    hub.fail_next(503, Retry_After="0")

    assert "trying again in 0.0 s" in run(pull.command, TINY).stderr


def test_a_model_off_the_catalog_is_listed(run):
    run(pull.command, TINY)

    assert "hf:acme/tiny/tiny.gguf@main" in run(models.command).stdout
    rows = json.loads(run(models.command, "--json").stdout)
    (row,) = [row for row in rows if row["name"].startswith("hf:")]
    assert (row["local"], row["kind"], row["size_bytes"]) == (True, "chat", len(DATA))


@pytest.mark.parametrize(
    ("module", "arguments", "shown"),
    [
        ("pull", [TINY], ["tiny", "1.0/1.0 MB", "pulled and verified"]),
        ("models", [], ["phi-4-mini", "3.8B"]),
    ],
)
def test_a_terminal_gets_bars_and_tables(hub, tmp_path, module, arguments, shown):
    controller, terminal = pty.openpty()
    program = f"from octomil.cli.{module} import command; command()"
    environ = clean_environ(tmp_path, HF_ENDPOINT=hub.url, TERM="xterm", COLUMNS="120")

    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=terminal, stderr=terminal, env=environ
    ) as process:
        os.close(terminal)
        said = read_all(controller)  # as it comes: one that nobody reads fills up

    assert process.returncode == 0, said
    assert all(word in said for word in shown)
    assert "\x1b[" in said


def read_all(handle: int) -> str:
    """Everything the terminal shows; Linux answers EIO once the other side is closed."""
    said = b""
    try:
        while chunk := os.read(handle, 65536):
            said += chunk
    except OSError:
        pass
    finally:
        os.close(handle)
    return said.decode()


def test_a_model_that_is_here_is_found_without_the_network_stack(run, hub, tmp_path):
    run(pull.command, TINY)
    program = (
        "import sys; from octomil.cli.pull import command; command(standalone_mode=False);"
        "print(sorted({'httpx', 'rich', 'numpy'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, TINY],
        env=clean_environ(tmp_path), check=True, capture_output=True, text=True,
    )  # fmt: skip

    assert done.stdout.splitlines()[-1] == "[]"
