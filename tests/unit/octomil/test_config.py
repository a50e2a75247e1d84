import os
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from octomil.config import Settings, parse_aliases, variable_table
from octomil.errors import ConfigurationError


def test_empty_environment_gives_the_defaults():
    settings = Settings.from_env({})

    assert settings.cache_dir == Path("~/.cache/octomil").expanduser()
    assert settings.model_aliases == {}
    assert settings.hf_endpoint == "https://huggingface.co"
    assert settings.ollama_base_url == "http://localhost:11434"
    assert (settings.openai_api_endpoint, settings.openai_api_key) == ("", None)
    assert settings.backend_timeout_s == 30.0


def test_environment_decides_what_it_names():
    settings = Settings.from_env(
        {
            "OCTOMIL_CACHE_DIR": "~/models",
            "OCTOMIL_MODEL_ALIASES": "phi-4-mini=smollm2-135m, b = hf:x/y/z.gguf@main ,",
            "HF_ENDPOINT": "https://mirror",
            "HF_TOKEN": "t",
            "OLLAMA_BASE_URL": "http://ollama:1",
            "OPENAI_API_ENDPOINT": "http://upstream/v1",
            "OPENAI_API_KEY": "k",
            "LLM_BACKEND_TIMEOUT": "1.5",
        }
    )

    assert settings.cache_dir == Path("~/models").expanduser()
    assert settings.model_aliases == {"phi-4-mini": "smollm2-135m", "b": "hf:x/y/z.gguf@main"}
    assert (settings.hf_endpoint, settings.hf_token) == ("https://mirror", "t")
    assert settings.ollama_base_url == "http://ollama:1"
    assert settings.openai_api_endpoint == "http://upstream/v1"
    assert settings.openai_api_key == "k"
    assert settings.backend_timeout_s == 1.5


def test_keyword_wins_over_the_environment():
    settings = Settings.from_env({"HF_TOKEN": "theirs"}, hf_token="ours")

    assert settings.hf_token == "ours"


@pytest.mark.parametrize("variable", ["HF_TOKEN", "LLM_BACKEND_TIMEOUT", "OCTOMIL_MODEL_ALIASES"])
def test_variable_that_is_set_but_empty_counts_as_unset(variable):
    assert Settings.from_env({variable: ""}) == Settings.from_env({})


def test_empty_key_is_no_unset_one():
    assert Settings.from_env({"OCTOMIL_SERVE_KEY": ""}).serve_key == ""
    assert Settings.from_env({}).serve_key is None


def test_cache_follows_the_desktop_s_standard_place():
    assert Settings.from_env({"XDG_CACHE_HOME": "/c"}).cache_dir == Path("/c/octomil")
    both = {"XDG_CACHE_HOME": "/c", "OCTOMIL_CACHE_DIR": "/d"}
    assert Settings.from_env(both).cache_dir == Path("/d")


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({"LLM_BACKEND_TIMEOUT": "soon"}, "'soon' is not a number of seconds"),
        ({"LLM_BACKEND_TIMEOUT": "0"}, "above 0 seconds, got '0'"),
        ({"LLM_BACKEND_TIMEOUT": "-3"}, "above 0 seconds, got '-3'"),
        ({"LLM_BACKEND_TIMEOUT": "inf"}, "above 0 seconds, got 'inf'"),
        ({"LLM_BACKEND_TIMEOUT": "nan"}, "above 0 seconds, got 'nan'"),
        ({"OCTOMIL_MODEL_ALIASES": "a"}, "'a' is not an alias; write NAME=TARGET"),
        ({"OCTOMIL_MODEL_ALIASES": "a=b,=c"}, "'=c' is not an alias"),
        ({"OCTOMIL_MODEL_ALIASES": "a="}, "'a=' is not an alias"),
    ],
)
def test_variable_that_makes_no_sense_is_refused_with_its_value(environ, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        Settings.from_env(environ)


def test_unknown_setting_is_refused_with_the_nearest_known_one():
    with pytest.raises(ConfigurationError, match="unknown setting 'hf_tokn'; did you mean 'hf_tok"):
        Settings.from_env({}, hf_tokn="x")
    with pytest.raises(ConfigurationError, match=r"unknown setting 'zzz'$"):
        Settings.from_env({}, zzz="x")


def test_settings_cannot_be_changed():
    settings = Settings.from_env({})

    with pytest.raises(FrozenInstanceError):
        settings.hf_token = "x"


def test_each_settings_object_has_aliases_of_its_own():
    assert Settings().model_aliases is not Settings().model_aliases


def test_aliases_are_read_in_order():
    assert list(parse_aliases("b=1,a=2")) == ["b", "a"]
    assert parse_aliases("") == {}
    assert parse_aliases("a=b=c") == {"a": "b=c"}


def test_table_for_the_documentation_has_a_row_for_every_setting():
    rows = variable_table()

    assert len(rows) == len(fields(Settings))
    assert len({variable for variable, _, _ in rows}) == len(rows)
    assert all(meaning.endswith(".") for _, _, meaning in rows)
    assert ("LLM_BACKEND_TIMEOUT", "30.0") in [row[:2] for row in rows]


@pytest.mark.parametrize(("text", "is_on"), [("1", True), ("0", False)])
def test_a_switch_is_on_or_off(text: str, is_on: bool):
    settings = Settings.from_env({"OCTOMIL_WEBHOOKS_PRIVATE": text})

    assert settings.webhooks_private is is_on


def test_a_switch_that_is_neither_is_refused():
    with pytest.raises(ConfigurationError, match="neither 0 nor 1"):
        Settings.from_env({"OCTOMIL_WEBHOOKS_PRIVATE": "yes"})


def test_the_default_base_alone_names_no_control_plane():
    both = {"OCTOMIL_API_BASE": "http://127.0.0.1:8000", "OCTOMIL_API_KEY": "edg_x"}
    assert Settings.names_control_plane(both)
    for name, value in both.items():
        assert not Settings.names_control_plane({name: value})
        assert not Settings.names_control_plane({**both, name: ""})


ENGINE_THAT_FINDS_NO_FILES = """
import asyncio, os
from octomil.engines.onnxruntime import OnnxEmbeddingEngine

def locate():
    raise LookupError

try:
    asyncio.run(OnnxEmbeddingEngine("x", locate).load(print))
except LookupError:
    print(os.environ.get("ORT_DISABLE_TELEMETRY"))
"""


def test_telemetry_is_forbidden_to_a_library_before_it_is_imported():
    environ = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}

    done = subprocess.run(
        [sys.executable, "-c", ENGINE_THAT_FINDS_NO_FILES],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines()[-1] == "1"
