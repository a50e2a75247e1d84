"""`ModelRegistry` against a real `octomil up`."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import octomil
from octomil.errors import (
    BadRequestError,
    ConfigurationError,
    ConflictError,
    DigestMismatchError,
    InvalidModelFileError,
    NotFoundError,
    OctomilClientError,
    ServerUnreachableError,
    UnauthorizedError,
    UnsupportedMediaError,
)
from octomil.http.api import ApiClient
from octomil.sdk.model_registry import ModelRegistry
from octomil.sdk.resources.files import RESUMABLE_BYTES
from octomil.sdk.uploads import PIECE_BYTES, ResumableUpload
from support.model_files import onnx_file, safetensors_file
from support.sdk import Place


@pytest.fixture
def model(registry: ModelRegistry, request: pytest.FixtureRequest) -> str:
    return registry.ensure_model(request.node.name, "pytorch", "tests").id


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    path.write_bytes(safetensors_file(w=[1.0, 2.0]))
    return path


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file that is sent in pieces: a header, and holes."""
    size = RESUMABLE_BYTES + PIECE_BYTES // 2
    header = {"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}
    text = json.dumps(header).encode()
    path = tmp_path / "large.safetensors"
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + size)
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_ensuring_a_model_twice_is_one_model(registry: ModelRegistry):
    with ThreadPoolExecutor(8) as pool:
        made = list(
            pool.map(lambda _: registry.ensure_model("ensured", "onnx", "tests"), range(16))
        )

    assert len({model.id for model in made}) == 1
    assert made[0]["framework"] == "onnx"
    assert registry.resolve_model_id("ensured") == made[0].id
    assert registry.resolve_model_id("mdl_nobody") == "mdl_nobody"


def test_a_model_is_listed_changed_and_deleted(registry: ModelRegistry, model: str):
    assert registry.update_model(model, description="of mice").description == "of mice"
    assert registry.get_model(model).description == "of mice"
    assert model in [each.id for each in registry.iter_models()]
    assert [m.id for m in registry.list_models(use_case="nothing").models] == []

    registry.delete_model(model)

    with pytest.raises(NotFoundError, match=model) as caught:
        registry.get_model(model)
    assert caught.value.request_id
    assert isinstance(caught.value, octomil.OctomilClientError)


def test_every_model_is_found_however_many_there_are(registry: ModelRegistry):
    with ThreadPoolExecutor(4) as pool:
        ids = list(
            pool.map(lambda n: registry.ensure_model(f"many-{n:03}", "onnx", "t").id, range(120))
        )

    assert set(ids) <= {model.id for model in registry.iter_models()}
    assert registry.resolve_model_id("many-119") == ids[119]


def test_a_version_goes_from_its_file_to_its_publication_and_back(
    registry: ModelRegistry, model: str, small: Path, tmp_path: Path
):
    version = registry.upload_version_from_path(model, str(small), "1.0.0", description="first")
    assert (version.status, version.formats, version.description) == (
        "ready", ["safetensors"], "first",
    )  # fmt: skip
    with pytest.raises(NotFoundError):
        registry.get_latest_version(model)

    published = registry.publish_version(model, "1.0.0")
    path = registry.download(model, "1.0.0", tmp_path / "back.bin")

    assert (published.status, registry.get_latest_version(model)) == ("published", "1.0.0")
    assert path.read_bytes() == small.read_bytes()
    assert registry.get_manifest(model, "1.0.0").digest == published.digest
    assert registry.update_version_metrics(model, "1.0.0", {"f1": 0.5}).metrics == {"f1": 0.5}
    assert registry.deprecate_version(model, "1.0.0").status == "deprecated"
    assert [v.version for v in registry.list_versions(model).versions] == ["1.0.0"]
    assert registry.list_versions(model, status="published").versions == []
    assert registry.get_version(model, "1.0.0").files[0].digest == f"sha256:{sha256(small)}"
    registry.upload_version_from_path(model, str(small), "1.1.0", formats="onnx")
    assert registry.fail_version(model, "1.1.0", "no converter").failure == "no converter"


def test_a_download_into_a_folder_has_the_name_of_what_was_uploaded(
    registry: ModelRegistry, model: str, small: Path, tmp_path: Path
):
    registry.upload_version_from_path(model, small, "1.0.0")
    folder = tmp_path / "here"
    folder.mkdir()

    assert registry.download(model, "1.0.0", folder) == folder / "small.safetensors"


def test_a_version_that_lacks_formats_is_converting(
    registry: ModelRegistry, model: str, small: Path
):
    version = registry.upload_version_from_path(model, small, "1.0.0", formats="onnx, tflite")

    assert version.status == "converting"
    assert "lacks onnx, tflite" in version.note
    with pytest.raises(ConflictError, match="convert"):
        registry.publish_version(model, "1.0.0")


def test_onnx_weights_in_a_file_of_their_own_come_along(
    registry: ModelRegistry, model: str, tmp_path: Path
):
    graph, weights = tmp_path / "m.onnx", tmp_path / "m.onnx_data"
    graph.write_bytes(onnx_file())
    weights.write_bytes(b"weights")

    version = registry.upload_version_from_path(model, graph, "1.0.0", onnx_data_path=weights)

    assert sorted(version.formats) == ["onnx", "onnx_data"]
    path = registry.download(model, "1.0.0", tmp_path / "w", format="onnx_data")
    assert path.read_bytes() == b"weights"


def test_a_large_file_goes_in_pieces(
    registry: ModelRegistry, model: str, large: Path, tmp_path: Path
):
    version = registry.upload_version_from_path(
        model, large, "1.0.0", architecture="mlp", input_dim=16, output_dim=4
    )
    back = registry.download(model, "1.0.0", tmp_path / "back.bin")

    assert version.files[0].digest == f"sha256:{sha256(large)}"
    assert sha256(back) == sha256(large)
    assert version.architecture == {"name": "mlp", "input_dim": 16, "output_dim": 4}
    assert registry.get_model(model).architecture == version.architecture
    assert list(Path(os.environ["OCTOMIL_STATE_DIR"]).rglob("*.json")) == []


def test_large_onnx_weights_go_in_pieces_too(
    registry: ModelRegistry, model: str, large: Path, tmp_path: Path
):
    graph = tmp_path / "m.onnx"
    graph.write_bytes(onnx_file())

    version = registry.upload_version_from_path(model, graph, "1.0.0", onnx_data_path=large)

    kept = {file.format: file for file in version.files}
    assert version.status == "ready"
    assert kept.keys() == {"onnx", "onnx_data"}
    assert kept["onnx_data"].digest == f"sha256:{sha256(large)}"
    assert (kept["onnx_data"].name, kept["onnx_data"].origin) == (large.name, "original")
    assert list(Path(os.environ["OCTOMIL_STATE_DIR"]).rglob("*.json")) == []


def test_a_version_that_broke_off_before_its_weights_is_gone_on_with(
    registry: ModelRegistry,
    model: str,
    large: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    graph, other = tmp_path / "m.onnx", tmp_path / "other.onnx"
    graph.write_bytes(onnx_file())
    other.write_bytes(onnx_file(b"\x12\x04mlp2"))
    post = ApiClient.post

    def break_off(api: ApiClient, path: str, body: object) -> object:
        if path.endswith("/files"):
            raise ServerUnreachableError("the network is down")
        return post(api, path, body)

    with monkeypatch.context() as broken:
        broken.setattr(ApiClient, "post", break_off)
        with pytest.raises(ServerUnreachableError):
            registry.upload_version_from_path(model, graph, "1.0.0", onnx_data_path=large)
    assert registry.get_version(model, "1.0.0").formats == ["onnx"]
    with pytest.raises(ConflictError, match=r"1\.0\.0"):
        registry.upload_version_from_path(model, other, "1.0.0", onnx_data_path=large)
    with pytest.raises(ConflictError, match=r"1\.0\.0"):  # the version waits for no such file
        registry.upload_version_from_path(model, graph, "1.0.0", "tflite", onnx_data_path=large)

    version = registry.upload_version_from_path(model, graph, "1.0.0", onnx_data_path=large)

    kept = {file.format: file.digest for file in version.files}
    assert version.status == "ready"
    assert kept == {"onnx": f"sha256:{sha256(graph)}", "onnx_data": f"sha256:{sha256(large)}"}
    with pytest.raises(ConflictError, match=r"1\.0\.0"):
        registry.upload_version_from_path(model, graph, "1.0.0", onnx_data_path=large)


PROGRAM = """
import sys
from octomil import ModelRegistry
from octomil.sdk import uploads
url, key, model, path = sys.argv[1:]
send_piece, sent = uploads.ResumableUpload._send_piece, 0

def send_one(self, *words):
    global sent
    if sent == 2:
        print("two pieces are over", flush=True)
        sys.stdin.read()
    sent += 1
    return send_piece(self, *words)

uploads.ResumableUpload._send_piece = send_one
ModelRegistry(api_key=key, api_base=url).upload_version_from_path(model, path, "1.0.0")
"""


def test_an_upload_whose_process_was_killed_is_gone_on_with(
    place: Place, registry: ModelRegistry, model: str, large: Path
):
    words = [place.served.url, place.key, model, str(large)]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout.readline() == "two pieces are over\n"
        os.kill(process.pid, signal.SIGKILL)
    (note,) = Path(os.environ["OCTOMIL_STATE_DIR"]).rglob("*.json")
    upload_id = json.loads(note.read_text())["upload_id"]
    headers = {"authorization": f"Bearer {place.key}"}
    stood = place.served.get(f"/api/v1/uploads/{upload_id}", headers=headers).json()["offset"]
    assert stood == 2 * PIECE_BYTES

    version = registry.upload_version_from_path(model, large, "1.0.0")

    assert version.files[0].digest == f"sha256:{sha256(large)}"
    done = place.served.get(f"/api/v1/uploads/{upload_id}", headers=headers).json()
    assert done["is_complete"]
    assert not note.exists()


def test_a_file_that_becomes_shorter_while_it_is_sent_is_told(
    place: Place, large: Path, tmp_path: Path
):
    def cut(_name: str, over: int, _size: int) -> None:
        if over:
            os.truncate(large, PIECE_BYTES)

    with ApiClient(f"{place.served.url}/api/v1", lambda: place.key) as api:
        upload = ResumableUpload(api, large, tmp_path / "notes", cut)
        with pytest.raises(InvalidModelFileError, match="changed while it was sent"):
            upload.send()


def test_progress_is_told_to_who_wants_it(
    place: Place, small: Path, model: str, capfd: pytest.CaptureFixture
):
    with place.registry(show_progress=False) as registry:
        registry.upload_version_from_path(model, small, "1.0.0")

    assert capfd.readouterr().err == ""


def test_aliases_point_at_versions_and_remember(registry: ModelRegistry, model: str, small: Path):
    for number in ("1.0.0", "2.0.0"):
        registry.upload_version_from_path(model, small, number)
        registry.publish_version(model, number)
    registry.set_alias(model, "production", "1.0.0", expected_revision=0)
    moved = registry.set_alias(model, "production", "2.0.0", expected_revision=1)

    with pytest.raises(ConflictError):
        registry.set_alias(model, "production", "1.0.0", expected_revision=1)
    assert registry.get_alias(model, "production").version == "2.0.0"
    assert [a.name for a in registry.list_aliases(model)] == ["production"]
    history = registry.get_alias_history(model, "production")
    assert [step.version for step in history] == ["2.0.0", "1.0.0"]
    assert registry.get_alias(model, "production", at=moved.moved_at).version == "2.0.0"
    assert registry.resolve_version(model, "@production") == "2.0.0"
    assert registry.resolve_version(model) == "2.0.0"
    registry.delete_alias(model, "production")
    with pytest.raises(NotFoundError):
        registry.get_alias(model, "production")


def test_a_version_of_an_upload_that_is_there_needs_no_file(
    registry: ModelRegistry, model: str, small: Path
):
    registry.upload_version_from_path(model, small, "1.0.0")
    digest, size = sha256(small), small.stat().st_size

    again = registry.create_version(
        model, "1.0.1", f"sha256:{digest}", "safetensors", digest, size, metrics={"f1": 1.0}
    )

    assert again.files[0].digest == f"sha256:{digest}"
    assert registry.delete_version(model, "1.0.1").deleted


def test_lineage_is_empty_for_a_version_of_its_own(
    registry: ModelRegistry, model: str, small: Path
):
    registry.upload_version_from_path(model, small, "1.0.0")

    assert registry.get_ancestors(model, "1.0.0") == []
    assert registry.get_descendants(model, "1.0.0") == []


def test_rollouts_are_a_resource_of_the_registry(registry: ModelRegistry, model: str, small: Path):
    registry.upload_version_from_path(model, small, "1.0.0")
    registry.publish_version(model, "1.0.0")
    with pytest.raises(BadRequestError, match="target_percentage"):
        registry.create_rollout(model, "1.0.0", rollout_percentage=60, target_percentage=50)

    rollout = registry.deploy_version(model, "1.0.0")

    rollouts = registry.rollouts
    assert rollout.id == rollout["id"]
    assert rollouts.get(model, rollout.id).status == "active"
    assert [each.id for each in rollouts.list_active(model)] == [rollout.id]
    assert [each.id for each in rollouts.list(model, status_filter="completed")] == []
    assert rollouts.get_affected_devices(model, rollout.id) == []
    assert rollouts.start(model, rollout.id).status == "active"
    with pytest.raises(ConflictError, match="force"):
        rollouts.delete(model, rollout.id)
    assert rollouts.delete(model, rollout.id, force=True).deleted


def test_a_rollout_is_steered_as_the_document_does(
    registry: ModelRegistry, model: str, small: Path
):
    """The calls of the published document, in its order, and what the history says of them."""
    registry.upload_version_from_path(model, small, "2.0.0")
    registry.publish_version(model, "2.0.0")
    rollouts = registry.rollouts
    rollout = rollouts.create(model_id=model, version="2.0.0", rollout_percentage=10)
    this = {"model_id": model, "rollout_id": rollout.id}

    advanced = rollouts.advance(**this)
    paused = rollouts.pause(**this)
    resumed = rollouts.resume(**this)
    widened = rollouts.update_percentage(**this, percentage=50)
    listed = rollouts.list(model_id=model, status_filter="active")
    devices = rollouts.get_affected_devices(**this)
    history = rollouts.get_status_history(**this)
    further = rollouts.advance(**this, custom_increment=5, reason="no time")
    back = rollouts.rollback(**this, reason="too bold")
    removed = rollouts.delete(**this, force=True)

    assert (rollout.status, advanced.status, advanced.rollout_percentage) == (
        "pending", "active", 10,
    )  # fmt: skip
    assert (paused.status, resumed.status, widened.rollout_percentage) == ("paused", "active", 50)
    assert (further.rollout_percentage, back.status, removed.deleted) == (55, "rolled_back", True)
    assert ([each.id for each in listed], devices) == ([rollout.id], [])
    by_hand = [each.action for each in history if each.actor != "controller"]
    assert by_hand == ["advance", "pause", "resume", "set_percentage"]
    assert rollouts.unblock(model, "2.0.0").is_blocked is False


def test_what_is_no_model_is_refused_and_leaves_no_version(
    registry: ModelRegistry, model: str, tmp_path: Path
):
    path = tmp_path / "thesis.tex"
    path.write_text("\\documentclass{article}")

    with pytest.raises(UnsupportedMediaError):
        registry.upload_version_from_path(model, path, "1.0.0")

    assert registry.list_versions(model).versions == []


def test_a_file_that_is_not_there_is_named_before_anybody_is_asked(registry: ModelRegistry):
    with pytest.raises(ConfigurationError, match=r"no file 'model\.pt'"):
        registry.upload_version_from_path("mdl_1", "model.pt", "1.0.0")


def test_a_wrong_key_is_an_error_of_its_own(place: Place):
    wrong = ModelRegistry(api_key="edg_wrong", api_base=place.served.url)
    with wrong as registry, pytest.raises(UnauthorizedError, match="API key"):
        registry.list_models()


def test_without_a_key_nothing_is_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OCTOMIL_API_KEY", raising=False)

    with pytest.raises(ConfigurationError, match="OCTOMIL_API_KEY"):
        ModelRegistry()


def test_the_environment_says_where_and_who(place: Place, monkeypatch: pytest.MonkeyPatch):
    for name, value in {**place.env, "OCTOMIL_ORG_ID": "default"}.items():
        monkeypatch.setenv(name, value)

    with ModelRegistry() as registry:
        assert registry.ensure_model("environment", "onnx", "tests").org_id == "default"


def test_arguments_win_over_the_environment(place: Place, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OCTOMIL_API_BASE", "http://127.0.0.1:1")
    monkeypatch.setenv("OCTOMIL_API_KEY", "edg_wrong")
    monkeypatch.setenv("OCTOMIL_ORG_ID", "nobody")

    with place.registry(org_id="default") as registry:
        assert registry.org_id == "default"
        assert registry.ensure_model("arguments", "onnx", "tests").org_id == "default"
    with place.registry() as registry, pytest.raises(OctomilClientError, match="OCTOMIL_ORG_ID"):
        registry.list_models()


def test_the_blob_that_was_damaged_on_the_disk_is_not_taken(
    place: Place, registry: ModelRegistry, model: str, tmp_path: Path
):
    path = tmp_path / "m.safetensors"
    path.write_bytes(safetensors_file(w=[3.0, 1.0, 4.0]))
    registry.upload_version_from_path(model, path, "1.0.0")
    data = Path(next(line for line in place.served.lines if "Data in" in line).split("Data in ")[1])
    (blob,) = [each for each in data.rglob("*") if each.is_file() and sha256(path) in str(each)]
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes()[:-1] + b"!")

    with pytest.raises(DigestMismatchError):
        registry.download(model, "1.0.0", tmp_path / "back.bin")
    assert not (tmp_path / "back.bin").exists()
