import json

import pytest

from octomil.engines.base import GenerationRequest
from octomil.engines.echo import EchoEngine
from octomil.errors import ContextLengthError


async def answer(**body):
    engine = EchoEngine(context_tokens=4)
    await engine.load(lambda _: None)
    return await engine.generate(GenerationRequest("completions", body))


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ({"prompt": "a b"}, ["a b"]),
        ({"prompt": ["a b"]}, ["a b"]),
        ({"prompt": ["a b", "c"]}, ["a b", "c"]),
        ({"prompt": ["a b", "c"], "n": 2}, ["a b", "a b", "c", "c"]),
        ({"prompt": ["a b", "c d"], "max_tokens": 1}, ["a", "c"]),
    ],
)
async def test_each_prompt_has_its_answers_in_order(body, texts):
    completion = await answer(**body)

    choices = json.loads(completion.body)["choices"]
    assert [choice["text"] for choice in choices] == texts
    assert [choice["index"] for choice in choices] == list(range(len(texts)))
    assert completion.usage.completion_tokens == sum(len(text.split()) for text in texts)


async def test_every_prompt_is_counted_once_and_fits_the_context_by_itself():
    completion = await answer(prompt=["a b c", "d e f"], n=2)

    assert completion.usage.prompt_tokens == 6
    with pytest.raises(ContextLengthError, match="5 tokens, more than the context of 4"):
        await answer(prompt=["a", "a b c d e"])


@pytest.mark.parametrize("limit", [{}, {"max_tokens": 1_000_000}, {"max_completion_tokens": 9}])
async def test_answer_ends_where_the_context_is_full(limit):
    completion = await answer(prompt="a b c", **limit)

    (choice,) = json.loads(completion.body)["choices"]
    assert (choice["text"], choice["finish_reason"]) == ("a", "length")
    assert completion.usage.prompt_tokens + completion.usage.completion_tokens == 4
