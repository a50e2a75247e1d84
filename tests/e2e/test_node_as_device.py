"""A serving node is a device: it serves what is released, and is swapped while it serves."""

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx
import pytest

from octomil.config import Settings
from octomil.http.records import Record
from octomil.models.pull import ModelStore
from octomil.models.references import parse_reference
from octomil.models.sources.base import Silent
from octomil.rollouts.device_states import ON_THE_WAY
from octomil.sdk.model_registry import ModelRegistry
from support.device_runs import affected, killed_at
from support.models import make_gguf, renamed_gguf
from support.onnx_models import runnable_onnx
from support.sdk import Place, control_place
from support.serving import ServeProcess, running, serving
from support.waiting import eventually

NAME = "storyteller"
CLIENTS = 2
"""As many as the engine has slots: a slow machine shall not fail a test by its queue."""


@pytest.fixture(scope="module")
def weights(model_cache: None) -> Path:
    return ModelStore(Settings.from_env()).pull(parse_reference("smollm2-135m"), Silent()).path


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with control_place(tmp_path / "up") as place:
        yield place


@pytest.fixture
def registry(place: Place) -> Iterator[ModelRegistry]:
    with place.registry() as registry:
        yield registry


def published(registry: ModelRegistry, path: Path, number: str) -> Record:
    model = registry.ensure_model(NAME, "gguf", "tests")
    registry.upload_version_from_path(model.id, path, number)
    return registry.publish_version(model.id, number)


@contextmanager
def node(
    place: Place, state: Path, reference: str, *more: str, **options
) -> Iterator[ServeProcess]:
    words = ("--control-plane", place.served.url, "--state-dir", str(state), "--identifier", "n1")
    env = {"OCTOMIL_BOOTSTRAP_TOKEN": place.key, "OCTOMIL_STATE_DIR": str(state.parent / "own")}
    pace = ("--poll-interval", "0.1", "--ctx-size", "256", "--threads", "1")
    with serving("--models", reference, *words, *pace, *more, env=env, **options) as served:
        yield served


def release(served: ServeProcess) -> dict[str, str]:
    return served.get("/health").json()["models"][NAME]["release"]


def attested(registry: ModelRegistry, rollout: Record) -> list[tuple[str, str]]:
    found = registry.rollouts.get_affected_devices(rollout.model_id, rollout.id)
    return [(each.digest, each.status) for each in found if each.state not in ON_THE_WAY]


def slots(state: Path, model_id: str) -> dict:
    return json.loads((state / "slots.json").read_text())[model_id]


@dataclass
class Load:
    """Clients that stream one answer after the other, and note how each ended."""

    url: str
    ends: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self.threads = [threading.Thread(target=self._client) for _ in range(CLIENTS)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()

    def _client(self) -> None:
        while not self.over.is_set():
            self.ends.append(self._ask())

    def _ask(self) -> str:
        body = {"model": NAME, "prompt": "The sea", "max_tokens": 4, "stream": True}
        try:
            with httpx.stream(
                "POST", f"{self.url}/v1/completions", json=body, timeout=600, verify=False
            ) as answer:
                lines = [line for line in answer.iter_lines() if line]
        except httpx.HTTPError as error:
            return repr(error)
        if answer.status_code != 200 or lines[-1] != "data: [DONE]":
            return f"{answer.status_code}: {lines}"
        events = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
        ends = [each["finish_reason"] for event in events for each in event["choices"]]
        return "whole" if ends[-1] in {"stop", "length"} else f"{lines}"

    def more(self, number: int) -> None:
        """Wait for so many more answers, or for one that is not whole."""
        until = len(self.ends) + number
        eventually(lambda: len(self.ends) >= until or self.failed)

    @property
    def failed(self) -> list[str]:
        return [end for end in self.ends if end != "whole"]


@pytest.mark.model
def test_rollout_swaps_a_node_under_load_and_no_request_fails(
    place: Place, registry: ModelRegistry, weights: Path, tmp_path: Path
):
    first = published(registry, weights, "1.0.0")
    registry.set_alias(first.model_id, "production", "1.0.0")
    second = published(registry, renamed_gguf(weights, tmp_path / "2.gguf"), "2.0.0")
    with node(place, tmp_path / "device", f"registry:{NAME}@production") as served:
        assert release(served) == {"version": "1.0.0", "digest": first.digest}
        with Load(served.url) as load:
            load.more(CLIENTS)
            rollout = registry.deploy_version(first.model_id, "2.0.0")
            eventually(lambda: attested(registry, rollout) or load.failed)
            load.more(2 * CLIENTS)
            assert release(served) == {"version": "2.0.0", "digest": second.digest}

            (tmp_path / "3.gguf").write_bytes(make_gguf({"llama.block_count": 1}))
            third = published(registry, tmp_path / "3.gguf", "3.0.0")
            registry.rollouts.delete(rollout.model_id, rollout.id, force=True)
            bad = registry.deploy_version(first.model_id, "3.0.0")
            eventually(lambda: attested(registry, bad) or load.failed)
            load.more(CLIENTS)

        assert attested(registry, bad) == [(third.digest, "failed")]
        assert release(served) == {"version": "2.0.0", "digest": second.digest}
        health = served.get("/health").json()["models"][NAME]
    assert load.failed == []
    assert (health["state"], health["restarts"]) == ("ready", 0)


UNPROVED = """
from octomil.serve.activation import NodeActivator
NodeActivator.activate = lambda self, release: None
"""
"""Lets a node take what its engine cannot load."""

WITHOUT_ENGINE = """
from octomil.engines.llama_cpp.engine import LlamaCppEngine
from octomil.errors import EngineError
async def load(self, progress):
    raise EngineError("no engine loads anything here")
LlamaCppEngine.load = load
"""


@pytest.mark.model
def test_node_that_is_restarted_goes_back_from_what_cannot_be_loaded(
    place: Place, registry: ModelRegistry, weights: Path, tmp_path: Path
):
    first = published(registry, weights, "1.0.0")
    registry.set_alias(first.model_id, "production", "1.0.0")
    (tmp_path / "2.gguf").write_bytes(make_gguf({"llama.block_count": 1}))
    second = published(registry, tmp_path / "2.gguf", "2.0.0")
    state, reference = tmp_path / "device", f"registry:{NAME}@production"
    step = ("octomil.device.served", "NodeAndLinks.activate")

    with node(place, state, reference, program=killed_at(*step, "after", UNPROVED)) as served:
        assert release(served) == {"version": "1.0.0", "digest": first.digest}
        rollout = registry.deploy_version(first.model_id, "2.0.0")
        assert served.process.wait(120) == -signal.SIGKILL
    on_trial = slots(state, first.model_id)
    assert (on_trial["trial"]["digest"], on_trial["previous"]) == (second.digest, first.digest)

    broken = killed_at(*step, "real", WITHOUT_ENGINE)
    with node(place, state, reference, program=broken, wait_ready=False) as served:
        assert served.process.wait(120) == 1
    error = " ".join(served.errors)
    assert f"{NAME} 2.0.0 is on probation and cannot be loaded: no engine loads" in error
    assert "nor can 1.0.0, which ran before it: no engine loads" in error
    assert slots(state, first.model_id) == on_trial  # it may be this machine's fault

    with node(place, state, reference) as served:
        assert release(served) == {"version": "1.0.0", "digest": first.digest}
        (line,) = [line for line in served.lines if "cannot be loaded" in line]
        assert f"{NAME} 2.0.0 failed its probation" in line
        assert "begins with 1.0.0" in line
        eventually(lambda: (slots(state, first.model_id)["rejection"] or {}).get("is_told"))
        assert release(served) == {"version": "1.0.0", "digest": first.digest}

    rejected = slots(state, first.model_id)["rejection"]
    assert rejected["candidate"]["digest"] == second.digest
    (device,) = affected(registry, rollout)
    assert (device.state, device.code) == ("failed", "does_not_run")
    assert (device.digest, device.status) == (first.digest, "active")


@pytest.mark.model
def test_rollout_rescues_a_node_whose_last_release_cannot_be_loaded(
    place: Place, registry: ModelRegistry, weights: Path, tmp_path: Path
):
    first = published(registry, weights, "1.0.0")
    registry.set_alias(first.model_id, "production", "1.0.0")
    (tmp_path / "2.gguf").write_bytes(make_gguf({"llama.block_count": 1}))
    published(registry, tmp_path / "2.gguf", "2.0.0")
    third = published(registry, renamed_gguf(weights, tmp_path / "3.gguf"), "3.0.0")
    state, reference = tmp_path / "device", f"registry:{NAME}@production"
    step = ("octomil.device.served", "NodeAndLinks.activate")
    with node(place, state, reference, program=killed_at(*step, "after", UNPROVED)) as served:
        bad = registry.deploy_version(first.model_id, "2.0.0")
        assert served.process.wait(120) == -signal.SIGKILL
    (state / "slots.json").unlink()  # it is on no probation
    registry.rollouts.delete(bad.model_id, bad.id, force=True)
    rescue = registry.deploy_version(first.model_id, "3.0.0")
    identity = json.loads((state / "identity.json").read_text())
    path = f"/devices/{identity['device_id']}/assignments"
    eventually(
        lambda: [each["version"] for each in registry._api.get(path).assignments] == ["3.0.0"]
    )

    with node(place, state, reference) as served:
        assert release(served) == {"version": "3.0.0", "digest": third.digest}
        (line,) = [line for line in served.lines if "cannot be loaded" in line]
        assert f"{NAME} 2.0.0 cannot be loaded: " in line
        assert line.endswith("begins with 3.0.0, which is assigned")
        eventually(lambda: attested(registry, rescue) == [(third.digest, "active")])
        assert slots(state, first.model_id)["trial"]["digest"] == third.digest


@pytest.mark.model
def test_an_agent_that_serves_follows_all_that_it_is_assigned(
    place: Place, registry: ModelRegistry, weights: Path, tmp_path: Path
):
    first = published(registry, weights, "1.0.0")
    registry.set_alias(first.model_id, "production", "1.0.0")
    second = published(registry, renamed_gguf(weights, tmp_path / "2.gguf"), "2.0.0")
    (tmp_path / "sorter.onnx").write_bytes(runnable_onnx())
    sorter = registry.ensure_model("sorter", "onnx", "tests").id
    registry.upload_version_from_path(sorter, tmp_path / "sorter.onnx", "1.0.0")
    registry.publish_version(sorter, "1.0.0")
    state = tmp_path / "device"
    words = ("--server", place.served.url, "--state-dir", str(state), "--poll-interval", "0.1")
    env = {"OCTOMIL_BOOTSTRAP_TOKEN": place.key, "OCTOMIL_SERVE_KEY": "secret"}
    with running("device run", "--serve", NAME, *words, env=env, says="serve") as served:
        assert release(served) == {"version": "1.0.0", "digest": first.digest}
        sorted_by = registry.deploy_version(sorter, "1.0.0")
        told_by = registry.deploy_version(first.model_id, "2.0.0")
        eventually(lambda: attested(registry, sorted_by) and attested(registry, told_by))

        assert release(served) == {"version": "2.0.0", "digest": second.digest}
        body = {"model": NAME, "prompt": "The sea", "max_tokens": 2}
        statuses = [
            served.post("/v1/completions", body, headers=headers).status_code
            for headers in ({}, {"Authorization": "Bearer secret"})
        ]
        assert statuses == [401, 200]
    assert (state / "active" / sorter / "onnx").read_bytes() == runnable_onnx()


@pytest.mark.model
def test_node_waits_for_its_first_release_and_outlives_its_control_plane(
    weights: Path, tmp_path: Path
):
    state = tmp_path / "device"
    with (
        control_place(tmp_path / "up") as place,
        place.registry() as registry,
        node(place, state, f"registry:{NAME}@production", wait_ready=False) as served,
    ):
        waiting = f"[device] waiting for a release of {NAME}@production"
        eventually(lambda: [line for line in served.lines if line.startswith(waiting)])
        first = published(registry, weights, "1.0.0")
        registry.set_alias(first.model_id, "production", "1.0.0")
        eventually(lambda: [line for line in served.lines if "n1 is the device" in line])

    with node(place, state, f"registry:{NAME}@production") as served:
        assert release(served) == {"version": "1.0.0", "digest": first.digest}
        assert [line for line in served.lines if "begins with 1.0.0, which ran last" in line]


@pytest.mark.model
def test_node_that_is_pinned_to_a_number_stays_with_it(
    place: Place, registry: ModelRegistry, weights: Path, tmp_path: Path
):
    first = published(registry, weights, "1.0.0")
    published(registry, renamed_gguf(weights, tmp_path / "2.gguf"), "2.0.0")
    rollout = registry.deploy_version(first.model_id, "2.0.0")

    with node(place, tmp_path / "device", f"registry:{NAME}@1.0.0") as served:
        eventually(lambda: [line for line in served.lines if "n1 is the device" in line])
        identity = json.loads((tmp_path / "device" / "identity.json").read_text())
        path = f"/devices/{identity['device_id']}"
        seen = registry._api.get(path).last_seen_at
        eventually(lambda: registry._api.get(path).last_seen_at != seen)  # it has asked again

        assert release(served) == {"version": "1.0.0", "digest": first.digest}
        assert attested(registry, rollout) == []
