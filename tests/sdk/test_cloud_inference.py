"""`octomil.Client` through a real control plane, to a backend that is a real server."""

from collections.abc import Iterator

import pytest

from octomil import Client, stream_inference
from octomil.errors import ServiceUnavailableError, UnauthorizedError, UnprocessableError
from octomil.inference import complete
from support.inference import nobody
from support.sdk import Place, control_place
from support.upstream import CUT, Answer, FakeUpstream, Gate, chunk, event, fake_upstream

MESSAGES = [{"role": "user", "content": "Write a haiku"}]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, FakeUpstream]]:
    """A control plane with one backend that answers."""
    with fake_upstream() as backend, nobody() as nowhere, pytest.MonkeyPatch.context() as patch:
        for name, value in {**backend.env, "OLLAMA_BASE_URL": nowhere}.items():
            patch.setenv(name, value)
        with control_place(tmp_path_factory.mktemp("inference") / "up") as place:
            yield place, backend


@pytest.fixture
def asked(served: tuple[Place, FakeUpstream]) -> tuple[Place, FakeUpstream]:
    served[1].forget()
    return served


def client_of(place: Place) -> Client:
    return Client(api_key=place.key, api_base=place.served.url)


async def test_tokens_come_as_the_backend_makes_them(asked):
    place, backend = asked
    with client_of(place) as client:
        blocking = list(client.stream_predict("m", MESSAGES, parameters={"max_tokens": 8}))
        looped = [t async for t in client.stream_predict_async("m", "Write a haiku")]

    for tokens in (blocking, looped):
        assert "".join(token.token for token in tokens) == "this is m"
        assert [token.done for token in tokens] == [False] * (len(tokens) - 1) + [True]
        assert {token.provider for token in tokens} == {"openai"}
        assert len({token.session_id for token in tokens}) == 1
        assert all(token.latency_ms > 0 for token in tokens)
        assert tokens[-1].finish_reason == "stop"
        assert tokens[-1].usage.completion_tokens == 3
    assert backend.requests("m")[0].body["max_tokens"] == 8


def test_whole_answers_and_refusals(asked):
    place, _ = asked
    base = place.served.url

    result = complete(base, place.key, "m", "Hello")
    with pytest.raises(UnprocessableError) as refused:
        next(stream_inference(base, place.key, "m", "Hello", {"temprature": 1}))
    with pytest.raises(UnauthorizedError):
        next(stream_inference(base, "edg_no_such_key", "m", "Hello"))

    assert (result.output, result.provider, result.finish_reason) == ("this is m", "openai", "stop")
    assert "temperature" in str(refused.value.details) + str(refused.value)
    assert refused.value.request_id


def test_texts_are_embedded_by_the_backend(asked):
    place, _ = asked
    with client_of(place) as client:
        result = client.embed("m", ["one", "two", "three"])

    assert result.embeddings == [[1.0, 0.0]] * 3
    assert result.model == "m"
    assert result.usage.prompt_tokens == result.usage.total_tokens == 2


def test_who_leaves_stops_the_backend_and_who_stays_is_told_of_its_end(asked):
    place, backend = asked
    gate = Gate()
    backend.script("m", Answer([event(chunk("one")), gate, event(chunk("two"))]))
    with client_of(place) as client:
        for token in client.stream_predict("m", MESSAGES):
            assert token.token == "one"
            break
        gate.await_hang_up()

        backend.script("m", Answer([event(chunk("one")), event(chunk(" two")), CUT]))
        tokens = client.stream_predict("m", MESSAGES)
        said = [next(tokens).token, next(tokens).token]
        with pytest.raises(ServiceUnavailableError) as caught:
            next(tokens)

    assert said == ["one", " two"]
    assert caught.value.request_id
