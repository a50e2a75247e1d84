"""`octomil device profile` with a real small model, against a real control plane."""

import json
import os
from pathlib import Path

import pytest

from octomil.sdk.model_registry import ModelRegistry
from support.models import model_cache_dir
from support.sdk import Place, octomil

NO_MODELS = "no model was measured"


@pytest.fixture
def real_model() -> dict[str, str]:
    """The environment in which `smollm2-135m` is here."""
    env = {"OCTOMIL_CACHE_DIR": str(model_cache_dir())}
    pulled = octomil("pull", "smollm2-135m", timeout_s=600, **env)
    assert pulled.returncode == 0, pulled.stderr
    return env


def options(place: Place, state: Path, name: str) -> list[str]:
    return ["--server", place.served.url, "--state-dir", str(state), "--identifier", name]


@pytest.mark.model
def test_a_real_model_is_measured_uploaded_and_used(
    place: Place, registry: ModelRegistry, real_model: dict[str, str], tmp_path: Path
):
    words = ["device", "profile", "smollm2-135m", "--threads", "1", "--json"]
    env = {**real_model, "OCTOMIL_BOOTSTRAP_TOKEN": place.key}

    done = octomil(*words, *options(place, tmp_path / "d", "profiled"), timeout_s=900, **env)

    assert done.returncode == 0, done.stderr
    profile = json.loads(done.stdout)
    (model,) = profile["models"]
    identity = json.loads((tmp_path / "d" / "identity.json").read_text())
    kept = registry.placement.get_profile(identity["device_id"])
    assert (model["model_id"], model["engine"]) == ("smollm2-135m", "llama_cpp")
    assert kept["models"] == profile["models"]
    assert kept["hardware"] == profile["hardware"]
    assert [each["what"] for each in profile["hardware"]] == ["gpu", "npu"]
    assert kept.ms_per_mb == pytest.approx(1000 / model["tokens_per_s"] / model["model_size_mb"])
    assert model["memory_mb"] > model["model_size_mb"] / 2
    kind = {name: profile[name] for name in ("platform", "total_memory_mb")}
    decided = registry.placement.decide(
        "smollm2-135m", model["model_params"], model["model_size_mb"], kind
    )
    if profile["accelerator"] == "cpu":  # what a device on this platform runs models on
        assert decided.estimates_measured.device
        assert decided.estimated_device_latency_ms == round(1000 / model["tokens_per_s"], 1)


def test_a_machine_without_models_is_told_of_all_the_same(
    place: Place, registry: ModelRegistry, tmp_path: Path
):
    env = {"OCTOMIL_CACHE_DIR": str(tmp_path / "cache"), "OCTOMIL_BOOTSTRAP_TOKEN": place.key}

    done = octomil("device", "profile", *options(place, tmp_path / "d", "empty"), **env)

    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert NO_MODELS in done.stderr
    identity = json.loads((tmp_path / "d" / "identity.json").read_text())
    kept = registry.placement.get_profile(identity["device_id"])
    assert (kept.models, kept.ms_per_mb) == ([], None)
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    assert 0 < kept.total_memory_mb <= memory_mb


def test_nothing_is_asked_where_nothing_is_to_be_uploaded(tmp_path: Path):
    env = {"OCTOMIL_CACHE_DIR": str(tmp_path / "cache"), "OCTOMIL_STATE_DIR": str(tmp_path / "s")}

    done = octomil("device", "profile", "--no-upload", "--server", "http://127.0.0.1:9", **env)

    assert (done.returncode, NO_MODELS in done.stderr) == (0, True)
    assert not (tmp_path / "s").exists()


def test_a_model_that_is_not_here_is_named(tmp_path: Path):
    env = {"OCTOMIL_CACHE_DIR": str(tmp_path / "cache")}

    done = octomil("device", "profile", "--no-upload", "smollm2-135m", **env)

    assert done.returncode == 1
    assert "octomil pull smollm2-135m" in done.stderr


def test_without_tokens_nothing_is_measured_in_vain(place: Place, tmp_path: Path):
    done = octomil("device", "profile", *options(place, tmp_path / "d", "stranger"))

    assert done.returncode == 1
    assert "--bootstrap-token" in done.stderr
    assert "[profile]" not in done.stderr
