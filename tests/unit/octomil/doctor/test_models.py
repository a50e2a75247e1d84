from pathlib import Path

import pytest

from octomil.config import Settings
from octomil.doctor import models
from octomil.doctor.finding import Status
from octomil.models.local import LocalModel
from octomil.models.pull import ModelStore
from support.models import model_cache_dir


def make_model(name: str, kind: str, size_bytes: int = 98_000_000) -> LocalModel:
    path = Path(f"/nowhere/{name}.gguf")
    return LocalModel(
        name=name,
        reference=name,
        kind=kind,
        format="gguf",
        path=path,
        files={path.name: path},
        size_bytes=size_bytes,
        parameters=135_000_000,
        license=None,
        context_length=2048,
        chat_template=None,
        supports_tools=False,
        sha256={},
        source="",
    )


def test_an_alias_that_leads_nowhere_is_a_problem():
    settings = Settings(model_aliases={"mine": "smollm2-135", "yours": "echo"})

    (found,) = models.check_aliases(settings)

    assert found.status is Status.PROBLEM
    assert found.detail.startswith("mine=smollm2-135: no model is called 'smollm2-135'")


def test_no_chat_model_is_noted_with_the_smallest():
    found = models.check_models([make_model("minilm", "embedding")])

    assert found.status is Status.NOTE
    assert found.detail.startswith("only minilm (98 MB) here")
    assert found.hint.startswith("octomil pull smollm2-135m ")


def test_local_models_are_listed():
    found = models.check_models([make_model("small", "chat")])

    assert (found.status, found.detail) == (Status.OK, "1 here: small (98 MB)")


def test_what_does_not_fit_is_not_loaded():
    (found,) = models.measure_models(
        [make_model("big", "chat"), make_model("minilm", "embedding")],
        Settings(),
        threads=1,
        free_bytes=1000,
    )

    assert found.status is Status.NOTE
    assert found.detail == "big is not measured: 98 MB do not fit"


def test_a_model_that_cannot_be_loaded_is_a_problem():
    (found,) = models.measure_models(
        [make_model("gone", "chat")], Settings(), threads=1, free_bytes=None
    )

    assert found.status is Status.PROBLEM
    assert "could not be loaded" in found.detail


def test_other_programs_make_a_speed_a_note():
    model = make_model("small", "chat")

    calm = models.judge_speed(model, 84.2, 2, 0.1)
    busy = models.judge_speed(model, 4.21, 2, 3.0)

    assert (calm.status, calm.detail) == (Status.OK, "small (135M): 84 tokens/s on 2 threads")
    assert busy.status is Status.NOTE
    assert "4.2 tokens/s on 2 threads, beside other programs" in busy.detail


@pytest.mark.model
def test_a_real_model_is_measured():
    settings = Settings(cache_dir=model_cache_dir())
    model = ModelStore(settings).pull("smollm2-135m")

    (found,) = models.measure_models([model], settings, threads=1, free_bytes=None)

    assert "smollm2-135m (135M): " in found.detail
    assert " tokens/s on 1 threads" in found.detail
