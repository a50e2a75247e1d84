"""The published SDK reference: the snippets of the sections that work run as they stand there."""

import ast
import hashlib
import inspect
import platform
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import octomil
from octomil.config import Settings
from octomil.engines.base import Completion, GenerationRequest
from octomil.engines.echo import EchoEngine
from octomil.errors import NoEngineError
from octomil.models.pull import ModelStore
from octomil.models.references import parse_reference
from octomil.models.sources.base import Silent
from octomil.sdk.resources.rollouts import Rollouts
from support.documents import ROOT
from support.inference_server import inference_server
from support.model_files import safetensors_file
from support.needs import skip_or_fail
from support.sdk import Place, control_place
from support.seed_document import FOLDER, read_lines

TABLE = tomllib.loads((ROOT / "tests/docs/sdk_snippets.toml").read_text(encoding="utf-8"))


class MyEngine:
    """The engine that the document's reader has."""

    def __init__(self, echo: EchoEngine) -> None:
        self._echo = echo

    async def generate(self, request: GenerationRequest) -> Completion:
        return await self._echo.generate(request)

    async def stream(self, request: GenerationRequest):
        async for block in self._echo.stream(request).events:
            yield block.decode()


@pytest.fixture(scope="session")
def lines() -> list[str]:
    found = read_lines(TABLE["document"]["file"])
    if found is None:
        skip_or_fail(f"the published documents are not at {FOLDER}")
    return found


def snippet(lines: list[str], section: dict[str, Any], first: int, last: int, given: str) -> str:
    """The text of a snippet, made to run as the table says."""
    indents = {int(line): spaces for line, spaces in section["indent"].items()}
    text = "\n".join(
        " " * indents.get(number, 0) + lines[number - 1]
        for number in range(first, last + 1)
        if number not in section.get("left_out", ())
    )
    for name in ("key", "model"):
        text = text.replace(section[name], given) if name in section else text
    return text


async def execute(line: int, text: str, names: dict[str, Any]) -> None:
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    result = eval(compile(text, f"line {line}", "exec", flags), names)
    if inspect.isawaitable(result):
        await result


@pytest.fixture
def run(lines, capsys):
    """Run a section's snippets one after the other; tell what each printed, and the names."""

    async def run_section(
        title: str, given: str = "", **names: Any
    ) -> tuple[list[str], dict[str, Any]]:
        (section,) = [entry for entry in TABLE["section"] if entry["title"] == title]
        assert lines.index(title) + 1 < section["snippets"][0][0]
        printed = []
        for first, last in section["snippets"]:
            await execute(first, snippet(lines, section, first, last, given), names)
            printed.append(capsys.readouterr().out)
        return printed, names

    return run_section


def test_the_table_describes_this_very_document(lines):
    data = (FOLDER / TABLE["document"]["file"]).read_bytes()

    assert hashlib.sha256(data).hexdigest() == TABLE["document"]["sha256"]


def test_the_sections_are_listed_whole(lines):
    """Every line of code in them, which a comment, a call or an assignment begins, is listed."""
    code = re.compile(
        r"\w+ = |from \w+[.\w]* import |print\(|await |async for |#"
        r"|(router|queue|registry|client)\."
    )
    for section in TABLE["section"]:
        start = lines.index(section["title"]) + 1
        end = max(last for _, last in section["snippets"])
        listed = {n for first, last in section["snippets"] for n in range(first, last + 1)}

        missed = [
            n for n in range(start + 1, end + 1) if n not in listed and code.match(lines[n - 1])
        ]

        assert missed == []


@pytest.mark.model
async def test_a_model_goes_into_the_registry_as_the_document_says(
    run, model_cache, place, tmp_path, monkeypatch
):
    source = real_model_file()
    (tmp_path / "model.pt").symlink_to(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OCTOMIL_API_BASE", place.served.url)
    monkeypatch.setenv("OCTOMIL_STATE_DIR", str(tmp_path / "state"))

    _, names = await run("ModelRegistry", given=place.key)

    registry, model = names["registry"], names["model"]
    back = registry.download(model["id"], "1.0.0", tmp_path / "back.bin")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert registry.get_version(model["id"], "1.0.0").status == "published"
    assert registry.get_latest_version(model["id"]) == "1.0.0"
    assert hashlib.sha256(back.read_bytes()).hexdigest() == digest
    registry.close()


@pytest.mark.optional
async def test_a_file_of_torch_comes_back_as_it_was_and_as_safetensors(
    run, place, tmp_path, monkeypatch
):
    """What the document's `model.pt` is, where torch is installed."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    weights = {"layer.weight": torch.randn(2, 3), "layer.bias": torch.tensor([float("nan"), -0.0])}
    torch.save(weights, tmp_path / "model.pt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OCTOMIL_API_BASE", place.served.url)
    monkeypatch.setenv("OCTOMIL_STATE_DIR", str(tmp_path / "state"))

    _, names = await run("ModelRegistry", given=place.key)

    registry, model_id = names["registry"], names["model"]["id"]
    with registry:
        back = registry.download(model_id, "1.0.0", tmp_path / "back.pt", format="pytorch")
        made = registry.download(model_id, "1.0.0", tmp_path / "made", format="safetensors")
        assert back.read_bytes() == (tmp_path / "model.pt").read_bytes()
        found = load_file(made)
    assert found.keys() == weights.keys()
    for name, tensor in weights.items():
        assert torch.equal(found[name].view(torch.int32), tensor.view(torch.int32))


async def test_rollouts_are_steered_as_the_document_says(run, place, tmp_path, monkeypatch):
    monkeypatch.setenv("OCTOMIL_STATE_DIR", str(tmp_path / "state"))
    path = tmp_path / "m.safetensors"
    path.write_bytes(safetensors_file(w=[2.0]))
    with place.registry() as registry:
        model = registry.ensure_model("mnist", "pytorch", "tests")
        registry.upload_version_from_path(model.id, path, "2.0.0")
        registry.publish_version(model.id, "2.0.0")
        base = place.served.url
        histories = recorded(monkeypatch, Rollouts, "get_status_history")
        affected = recorded(monkeypatch, Rollouts, "get_affected_devices")

        with octomil.Client(api_key=place.key, org_id="default", api_base=base) as client:
            for each in (client, registry):
                _, names = await run("Rollouts", given=model.id, client=each)

                assert names["rollout"].id.startswith("rol_")
                done = [change.action for change in histories.pop()]
                assert done == ["advance", "pause", "resume", "set_percentage"]
                assert affected.pop() == []
                assert registry.rollouts.list(model.id) == []


@pytest.fixture
def cloud(lines, capsys) -> Iterator[Callable[[str], list[str]]]:
    """Run a section's snippets against a server that answers; tell what each printed.

    They start event loops of their own, so that none may run here.
    """
    with inference_server() as server, octomil.Client("edg_1", None, server.url) as client:

        def run_section(title: str) -> list[str]:
            (section,) = [entry for entry in TABLE["section"] if entry["title"] == title]
            names: dict[str, Any] = {"client": client}
            printed = []
            for first, last in section["snippets"]:
                text = snippet(lines, section, first, last, "edg_1")
                exec(compile(text.replace(section["host"], server.url), title, "exec"), names)
                printed.append(capsys.readouterr().out)
            assert {seen.headers["authorization"] for seen in server.seen} == {"Bearer edg_1"}
            return printed

        yield run_section


@pytest.fixture
def here(lines, capsys, monkeypatch, model_cache) -> Iterator[Callable[[str, int], str]]:
    """Run a snippet of a section on this machine, after others; tell what it printed."""
    monkeypatch.setenv("OCTOMIL_MODEL_ALIASES", "phi-4-mini=smollm2-135m")
    names: dict[str, Any] = {}

    def run_snippet(title: str, place: int, **given: Any) -> str:
        (section,) = [entry for entry in TABLE["section"] if entry["title"] == title]
        first, last = section["snippets"][place]
        names.update(given)
        exec(compile(snippet(lines, section, first, last, "edg_1"), title, "exec"), names)
        return capsys.readouterr().out

    run_snippet.names = names
    yield run_snippet
    names["client"].close()


@pytest.mark.model
def test_predictions_are_made_here_as_the_document_says(here):
    said = here("Cloud Inference", 0)

    assert "PredictionMetrics(provider='llama_cpp', model='phi-4-mini'" in said
    if (sys.platform, platform.machine()) != ("darwin", "arm64"):
        with pytest.raises(NoEngineError, match="Apple silicon only"):
            here("Cloud Inference", 1)
    here("Cloud Inference", 2, model=here.names["client"].load_model("phi-4-mini"))
    assert 0 < here.names["prediction"].metrics.completion_tokens <= 128


@pytest.mark.model
def test_chunks_are_streamed_here_as_the_document_says(here):
    with octomil.Client("edg_1") as client:
        assert here("Local streaming (on-device)", 0, client=client).strip()


def test_tokens_are_streamed_as_the_document_says(cloud):
    said = cloud("Streaming Inference")

    assert said == ["Write a haiku about edge AI.", "Explain quantum computing briefly.", "Hello"]


def test_texts_are_embedded_as_the_document_says(cloud):
    one, several, _ = cloud("Embeddings")

    vectors, model, usage = one.splitlines()
    assert ast.literal_eval(vectors) == [[42.0, 1.0]]
    assert (model, usage) == (
        "nomic-embed-text", "EmbeddingUsage(prompt_tokens=5, total_tokens=5)"
    )  # fmt: skip
    assert several.splitlines() == [f"String {number}: 2-dim vector" for number in range(3)]


def recorded(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> list[Any]:
    """Return what will hold every answer of a method, which goes on answering."""
    answers: list[Any] = []
    method = getattr(owner, name)

    def call(*args: object, **given: object) -> Any:
        answers.append(method(*args, **given))
        return answers[-1]

    monkeypatch.setattr(owner, name, call)
    return answers


def real_model_file() -> Path:
    """The weights of a real model."""
    store = ModelStore(Settings.from_env())
    model = store.pull(parse_reference("all-minilm-l6-v2"), Silent())
    return model.path


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with control_place(tmp_path / "up") as place:
        yield place


async def test_routing_decides_as_the_document_says(run):
    printed, names = await run("Routing")

    basic, exact, _, tasks, _ = printed
    model, score, tier, chain = basic.splitlines()
    assert (model, tier) == ("llama-3.2-3b", "quality")
    assert 0.7 <= float(score) <= 1.0
    assert ast.literal_eval(chain) == ("phi-4-mini", "smollm-360m")
    assert exact == "4\narithmetic\n1.0\n"
    assert [line.split(" -> ")[0].strip() for line in tasks.splitlines()] == [
        "Task: Explain quantum computing",
        "Task: write a Python sort function",
    ]
    assert names["next_model"] == "llama-3.2-3b"


async def test_the_queue_serves_as_the_document_says(run):
    messages = [{"role": "user", "content": "one two three"}]
    request = GenerationRequest("chat/completions", {"messages": messages, "stream": True})

    echo = EchoEngine("echo")
    await echo.load(print)

    printed, names = await run("Batch Inference", request=request, my_engine=MyEngine(echo))

    assert b"one two three" in names["result"].body
    *stream, stats = printed[0].splitlines()
    assert sum("content" in line for line in stream) >= 3
    assert stats == "Pending: 0, Active: 0, Max: 32"
