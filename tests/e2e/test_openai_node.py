"""OpenAI's own Node.js client against a real model: one scripted session, checked step by step."""

import json
import os
import shutil
import subprocess

import jsonschema
import pytest

from support.needs import needed_program
from support.node_client import LOCK_FOLDER, openai_package_folder
from support.serving import serving
from support.waiting import eventually

pytestmark = [pytest.mark.model, pytest.mark.node]

KEY = "the key of this session"
SMALL = "smollm2-135m"


@pytest.fixture(scope="module")
def package_folder():
    return openai_package_folder()


def run(command, **options):
    """Run a command to its end and return what it printed."""
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=300, **options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def server(model_cache):
    with serving(SMALL, "--threads", "1", "--api-key", KEY) as served:
        yield served


@pytest.fixture(scope="module")
def steps(package_folder, server):
    """What the session told, by step."""
    script = package_folder / f"session-{os.getpid()}.mjs"  # beside the packages it imports
    shutil.copy(LOCK_FOLDER / "session.mjs", script)
    try:
        printed = run([needed_program("node"), str(script), server.url, KEY])
    finally:
        script.unlink()
    told = [json.loads(line) for line in printed.splitlines()]
    return {line.pop("step"): line for line in told}


def test_lock_names_no_registry_and_checks_what_it_installs():
    lock = (LOCK_FOLDER / "package-lock.json").read_text()

    packages = json.loads(lock)["packages"]
    assert "http" not in lock
    assert all(package["integrity"] for name, package in packages.items() if name)


def test_chat_answers(steps):
    chat = steps["chat"]

    assert chat["content"].strip()
    assert chat["finish_reason"] == "length"
    assert chat["usage"]["completion_tokens"] == 8
    assert chat["routed_model"] == SMALL


def test_stream_comes_in_pieces_and_ends_with_usage(steps):
    stream = steps["stream"]

    assert len(stream["pieces"]) > 4
    assert stream["usage"]["completion_tokens"] == 8


def test_json_schema_binds_the_answer(steps):
    schema = {
        "properties": {"capital": {"enum": ["Paris", "Rome"]}, "certain": {"type": "boolean"}},
        "required": ["capital", "certain"],
        "additionalProperties": False,
    }

    jsonschema.validate(steps["schema"]["answer"], schema)


def test_embeddings_mean_what_they_say(steps):
    embeddings = steps["embeddings"]

    assert embeddings["width"] == 384
    assert embeddings["cat_cat"] == pytest.approx(1, abs=1e-3)
    assert embeddings["cat_kitten"] > embeddings["cat_revenue"] + 0.2


def test_models_are_listed(steps):
    assert steps["models"] == {"names": [SMALL, "all-minilm-l6-v2"], "retrieved": SMALL}


@pytest.mark.parametrize(
    ("step", "name", "status", "code", "param"),
    [
        ("unknown model", "NotFoundError", 404, "model_not_found", "model"),
        ("bad request", "BadRequestError", 400, "invalid_type", "temperature"),
        ("wrong key", "AuthenticationError", 401, "invalid_api_key", None),
    ],
)
def test_error_arrives_as_the_clients_own_class(steps, step, name, status, code, param):
    told = steps[step]

    assert (told["name"], told["status"], told["code"]) == (name, status, code)
    assert told["param"] == param


def test_aborted_stream_ends_the_generation(steps, server):
    assert steps["abort"] == {"seen": 3, "aborted": True}
    assert steps["after"] == {"choices": 2}

    def cancelled():
        metrics = server.get("/metrics", headers={"Authorization": f"Bearer {KEY}"}).text
        failures = [line for line in metrics.splitlines() if "request_failure_total{" in line]
        return [line for line in failures if 'reason="cancelled"' in line and line.endswith(" 1.0")]

    assert eventually(cancelled)
