"""What a model in a worker can do, by what it was made for; known before it is loaded."""

from pathlib import Path

import pytest

from octomil.config import Settings
from octomil.engines.base import Engine
from octomil.engines.catalog import EngineOptions, EngineRequest, create_engine
from octomil.engines.llama_cpp.engine import LlamaCppEngine
from octomil.engines.llama_cpp.spec import WorkerSpec
from octomil.engines.speed import measure_speed
from octomil.models.local import describe_file
from octomil.models.references import parse_reference
from support.models import make_gguf

ABILITIES = ("chat", "completions", "embeddings", "tools", "logprobs", "structured_output")


def abilities(engine: Engine) -> set[str]:
    return {name for name in ABILITIES if getattr(engine.capabilities, name)}


WRITES = {"completions", "logprobs"}


@pytest.mark.parametrize(
    ("kind", "able"),
    [
        ("chat", {*WRITES, "chat", "tools", "structured_output"}),
        ("completion", WRITES),
        ("embedding", {"embeddings"}),
    ],
)
def test_model_can_do_what_it_was_made_for(kind, able):
    assert abilities(LlamaCppEngine(WorkerSpec(name="m", path=Path("m.gguf"), kind=kind))) == able


@pytest.mark.parametrize(
    ("keys", "able"),
    [
        ({"tokenizer.chat_template": "{{ messages }}"}, "chat"),
        ({}, "completions"),
        ({"llama.pooling_type": 1}, "embeddings"),
    ],
)
def test_file_tells_what_its_model_was_made_for(tmp_path, keys, able):
    path = tmp_path / "m.gguf"
    path.write_bytes(make_gguf(keys))
    ref = parse_reference(str(path))

    engine = create_engine(EngineRequest(ref, describe_file(ref), EngineOptions(), Settings()))

    assert {"chat", "completions", "embeddings"} & abilities(engine) == (
        {"chat", "completions"} if able == "chat" else {able}
    )


async def test_speed_of_a_model_that_writes_no_text_is_not_asked_for():
    engine = LlamaCppEngine(WorkerSpec(name="m", path=Path("m.gguf"), kind="embedding"))

    assert await measure_speed(engine) is None
