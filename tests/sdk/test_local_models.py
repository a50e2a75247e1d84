"""`octomil.Client` runs models of a real control plane's registry, and of the catalog."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from octomil import Client, ModelRegistry
from octomil.config import Settings
from octomil.errors import (
    NoEngineError,
    NotFoundError,
    UnauthorizedError,
    UnknownModelError,
)
from octomil.models.local import LocalModel
from octomil.models.pull import ModelStore
from support.model_files import safetensors_file
from support.models import model_cache_dir
from support.sdk import Place

pytestmark = pytest.mark.model

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
WORKER = "octomil.engines.llama_cpp.worker"


@pytest.fixture(scope="module")
def smollm() -> LocalModel:
    return ModelStore(Settings(cache_dir=model_cache_dir())).pull("smollm2-135m")


@pytest.fixture(scope="module")
def published(place: Place, smollm: LocalModel) -> str:
    """A model of the registry with two versions, the first of which is in production."""
    with place.registry() as registry:
        model = registry.ensure_model("house-style", "gguf", "general")
        for number in ("1.0.0", "1.1.0"):
            registry.upload_version_from_path(model.id, smollm.path, number)
            registry.publish_version(model.id, number)
        registry.set_alias(model.id, "production", "1.0.0")
    return "house-style"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OCTOMIL_CACHE_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def client(place: Place, cache: Path) -> Iterator[Client]:
    with Client(api_key=place.key, api_base=place.served.url) as client:
        yield client


def workers() -> list[psutil.Process]:
    """The processes that run models for this one."""
    children = psutil.Process().children()
    return [child for child in children if WORKER in child.cmdline()]


def test_the_latest_version_is_fetched_and_run(
    client: Client, registry: ModelRegistry, published: str, cache: Path, smollm: LocalModel
):
    result = client.predict(published, messages=QUESTION, max_tokens=8, temperature=0.0)

    assert result.strip()
    metrics = result.metrics
    model = registry.resolve_model_id(published)
    assert (metrics.provider, metrics.version) == ("llama_cpp", "1.1.0")
    assert metrics.digest == registry.get_version(model, "1.1.0").digest
    assert 0 < metrics.completion_tokens <= 8
    (kept,) = cache.glob("registry/*/*")
    assert kept.parent.name == smollm.sha256["model.gguf"]


def test_a_version_or_where_an_alias_points_can_be_asked_for(client: Client, published: str):
    assert client.load_model(published, version="1.0.0").version == "1.0.0"
    assert client.load_model(published, version="@production").version == "1.0.0"
    assert client.load_model(f"{published}@production").version == "1.0.0"
    assert client.load_model(f"registry:{published}@latest").version == "1.1.0"
    with pytest.raises(NotFoundError, match=r"9\.9\.9"):
        client.load_model(published, version="9.9.9")


def test_threads_load_a_model_once(client: Client, published: str):
    def ask(_: int) -> str:
        return client.predict(published, QUESTION, max_tokens=4, temperature=0.0)

    with ThreadPoolExecutor(4) as threads:
        said = list(threads.map(ask, range(4)))

    assert len(set(said)) == 1
    assert len(workers()) == 1
    client.dispose()
    assert workers() == []


def test_bytes_that_were_changed_here_are_fetched_anew(
    client: Client, published: str, cache: Path, smollm: LocalModel
):
    client.load_model(published)
    client.dispose()
    (kept,) = cache.glob("registry/*/*")
    damaged = bytearray(kept.read_bytes())
    damaged[-1] ^= 1
    kept.write_bytes(damaged)

    assert client.predict(published, QUESTION, max_tokens=1).metrics.version == "1.1.0"
    assert kept.read_bytes() == smollm.path.read_bytes()


def test_a_version_without_a_format_that_runs_here_is_refused(
    client: Client, registry: ModelRegistry, tmp_path: Path
):
    file = tmp_path / "weights.safetensors"
    file.write_bytes(safetensors_file())
    model = registry.ensure_model("weights", "other", "general")
    registry.upload_version_from_path(model.id, file, "1.0.0")
    registry.publish_version(model.id, "1.0.0")

    with pytest.raises(NoEngineError, match="has safetensors, and engines here run gguf"):
        client.load_model("weights")


def test_a_name_that_nobody_knows_is_told_with_the_nearest(client: Client, published: str):
    with pytest.raises(UnknownModelError, match="did you mean 'house-style'"):
        client.predict("house-stile", QUESTION)


def test_a_registry_that_refuses_is_told(place: Place, cache: Path):
    client = Client(api_key="edg_wrong", api_base=place.served.url)
    with client, pytest.raises(UnauthorizedError):
        client.predict("house-style", QUESTION)


ASKS = """
import sys, octomil
client = octomil.Client(api_key="edg_1")
print(client.load_model(sys.argv[1]).predict("Hello", max_tokens=2).metrics.provider)
"""


def test_a_program_that_disposes_of_nothing_ends_and_leaves_nothing(smollm: LocalModel, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ASKS, str(smollm.path)],
        capture_output=True, text=True, timeout=120, check=False,
        env={"TMPDIR": str(tmp_path), "HOME": str(tmp_path)},
    )  # fmt: skip

    assert (done.returncode, done.stdout, done.stderr) == (0, "llama_cpp\n", "")
    assert list(tmp_path.glob("octomil-*")) == []
