"""What engines that write in a thread share: pieces, stops, refusals, and who leaves."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from octomil.engines.base import GenerationRequest
from octomil.engines.threaded import ThreadedEngine, Writing
from octomil.errors import (
    ContextLengthError,
    EngineUnavailableError,
    GenerationError,
    InvalidRequestError,
)
from octomil.http.sse import event_data
from support.waiting import PATIENCE_S


class Reciter(ThreadedEngine):
    """Writes a text word by word, and for ever where there is none."""

    def __init__(self, text: str | None = "one two three", *, context_tokens: int = 64) -> None:
        super().__init__("reciter", context_tokens=context_tokens, chats=True)
        self.text = text
        self.threads: set[str] = set()
        self.stopped = threading.Event()

    def load_model(self) -> None:
        self.threads.add(threading.current_thread().name)

    def unload_model(self) -> None:
        self.threads.add(threading.current_thread().name)

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def write(self, writing: Writing) -> None:
        self.threads.add(threading.current_thread().name)
        read = writing.usage.prompt_tokens = len(str(writing.body).split())
        words = ["again "] if self.text is None else self.text.split(" ")
        limit = self.room_for(read, writing.max_tokens)
        while not writing.should_stop:
            for word in words[:limit]:
                if word == "FAIL":
                    raise RuntimeError("out of breath")
                writing.say(f"{word} ")
                writing.usage.completion_tokens += 1
            if self.text is not None:
                break
        writing.usage.finish_reason = "length" if limit < len(words) else "stop"
        self.stopped.set()


def asked(**body) -> GenerationRequest:
    return GenerationRequest("chat/completions", {"messages": [{"content": "Go"}], **body})


@pytest.fixture
async def reciter() -> AsyncIterator[Reciter]:
    engine = Reciter()
    await engine.load(lambda line: None)
    yield engine
    await engine.close()


async def said(engine: ThreadedEngine, **body) -> tuple[str, str | None]:
    answer = json.loads((await engine.generate(asked(**body))).body)
    (choice,) = answer["choices"]
    return choice["message"]["content"], choice["finish_reason"]


async def test_pieces_come_as_they_are_written_and_usage_at_the_end(reciter: Reciter):
    stream = reciter.stream(asked(stream_options={"include_usage": True}))
    chunks = [json.loads(data) async for block in stream.events for data in event_data(block)]

    *pieces, end, usage = chunks
    assert [piece["choices"][0]["delta"]["content"] for piece in pieces] == [
        "one ", "two ", "three "
    ]  # fmt: skip
    assert end["choices"][0]["finish_reason"] == "stop"
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == stream.usage.completion_tokens == 3
    assert len(reciter.threads) == 1


async def test_limits_and_stop_texts_end_an_answer(reciter: Reciter):
    assert await said(reciter, max_tokens=2) == ("one two ", "length")
    assert await said(reciter, stop="two") == ("one ", "stop")
    assert await said(reciter, stop=["three", "e t"]) == ("on", "stop")


async def test_several_answers_are_written_one_after_the_other(reciter: Reciter):
    completion = await reciter.generate(asked(n=2, max_tokens=1))

    choices = json.loads(completion.body)["choices"]
    assert [(c["index"], c["message"]["content"]) for c in choices] == [(0, "one "), (1, "one ")]
    assert completion.usage.completion_tokens == 2


async def test_raw_text_is_continued(reciter: Reciter):
    request = GenerationRequest("completions", {"prompt": "Go", "max_tokens": 1})
    answer = json.loads((await reciter.generate(request)).body)

    assert (answer["object"], answer["choices"][0]["text"]) == ("text_completion", "one ")


async def test_who_leaves_ends_the_writing():
    engine = Reciter(None)
    await engine.load(lambda line: None)
    async with aclosing(engine.stream(asked()).events) as events:
        await anext(events)
        assert await engine.busy() == 1

    assert engine.stopped.is_set()
    assert await engine.busy() == 0
    await engine.close()


async def test_a_cancelled_call_ends_the_writing():
    engine = Reciter(None)
    await engine.load(lambda line: None)
    call = asyncio.create_task(engine.generate(asked()))
    async with asyncio.timeout(PATIENCE_S):
        while not await engine.busy():
            await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert engine.stopped.is_set()
    await engine.close()


async def test_faults_of_the_library_are_told(reciter: Reciter):
    reciter.text = "one FAIL"
    with pytest.raises(GenerationError, match="RuntimeError: out of breath"):
        await said(reciter)

    reciter.text = "well again"
    assert await said(reciter) == ("well again ", "stop")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"tools": [{}]}, "tools"),
        ({"logprobs": True}, "logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
    ],
)
async def test_what_cannot_be_done_is_refused(reciter: Reciter, body, param):
    with pytest.raises(InvalidRequestError) as refused:
        await said(reciter, **body)

    assert refused.value.param == param


async def test_several_prompts_and_embeddings_are_refused(reciter: Reciter):
    with pytest.raises(InvalidRequestError, match="one prompt at a time"):
        await reciter.generate(GenerationRequest("completions", {"prompt": ["a", "b"]}))
    with pytest.raises(InvalidRequestError, match="makes no embeddings"):
        await reciter.embed(["a"])


async def test_a_prompt_that_fills_the_context_is_refused():
    engine = Reciter(context_tokens=1)
    await engine.load(lambda line: None)
    with pytest.raises(ContextLengthError, match="and the context 1"):
        await said(engine)
    await engine.close()


async def test_what_is_not_loaded_refuses():
    engine = Reciter()
    with pytest.raises(EngineUnavailableError):
        await said(engine)
    with pytest.raises(EngineUnavailableError):
        await engine.tokens("one two")

    await engine.load(lambda line: None)
    assert await engine.tokens("one two") == 2
    await engine.close()
    await engine.close()
