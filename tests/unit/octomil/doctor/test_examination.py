import os

import pytest

from octomil.doctor.examination import examine, read_settings
from octomil.doctor.finding import Status
from octomil.errors import ConfigurationError


def offline(tmp_path, **more: str) -> dict[str, str]:
    """An environment whose every server refuses connections."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "OCTOMIL_", "HF_"))}
    servers = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "OLLAMA_BASE_URL": "http://127.0.0.1:9",
        "OPENAI_API_ENDPOINT": "http://127.0.0.1:9/v1",
    }
    return kept | servers | {"OCTOMIL_CACHE_DIR": str(tmp_path)} | more


def test_being_offline_is_no_problem(tmp_path):
    findings = list(examine(offline(tmp_path), port=0))

    assert [f for f in findings if f.status is Status.PROBLEM] == []
    noted = {f.check for f in findings if f.status is Status.NOTE}
    assert {"package index", "model hub", "ollama", "openai endpoint", "models"} <= noted


def test_every_finding_that_is_not_ok_has_a_next_step(tmp_path):
    environ = offline(tmp_path, OCTOMIL_TYPO="x", OCTOMIL_MODEL_ALIASES="a=nope")

    findings = list(examine(environ, port=0))

    assert all(f.hint for f in findings if f.status is not Status.OK)
    assert not any(f.hint for f in findings if f.status is Status.OK)


def test_a_setting_that_cannot_be_read_is_a_problem_and_gets_its_default():
    settings, faults = read_settings(
        {"LLM_BACKEND_TIMEOUT": "soon", "OCTOMIL_MODEL_ALIASES": "x", "HF_TOKEN": "kept"}
    )

    assert {f.detail.partition(":")[0] for f in faults} == {
        "LLM_BACKEND_TIMEOUT",
        "OCTOMIL_MODEL_ALIASES",
    }
    assert all(f.status is Status.PROBLEM for f in faults)
    assert (settings.backend_timeout_s, settings.hf_token) == (30.0, "kept")


def test_readable_settings_leave_nothing_to_say():
    assert read_settings({})[1] == []


def test_a_fault_that_no_variable_has_alone_is_not_hidden(monkeypatch):
    def refuse(_environ: object) -> None:
        raise ConfigurationError("together they make no sense")

    monkeypatch.setattr("octomil.doctor.examination.Settings.from_env", refuse)

    with pytest.raises(ConfigurationError):
        read_settings({})
