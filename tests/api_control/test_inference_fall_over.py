"""Which backend answers: Ollama and an OpenAI-compatible server, both real, that fail on demand."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from octomil.config import Settings
from octomil.control.backends.assumed import AssumedBackend
from octomil.control.backends.catalog import open_backends
from octomil.control.backends.ollama import OllamaBackend
from octomil.control.backends.openai import OpenAIBackend
from octomil.control.plane import ControlPlane
from octomil.control.services.backend_chain import POLICY
from octomil.engines.upstream import open_upstream
from support.backends import EchoBackend
from support.caller import Caller
from support.control import bearer, client_of, control_plane, key_of, printed_key, upping
from support.inference import EMBEDDINGS, INFERENCE, STREAM, asked, events_of, nobody
from support.ollama_api import BUSY, EMBEDDER, WRITER, Fault, OllamaApi, ollama_api
from support.prometheus import read_metrics
from support.servers import app_served
from support.upstream import FakeUpstream, failure, fake_upstream
from support.waiting import eventually

HELLO = {"model_id": WRITER, "messages": [{"role": "user", "content": "low tide at noon"}]}


@pytest.fixture
def api() -> Iterator[OllamaApi]:
    with ollama_api() as api:
        yield api


@pytest.fixture
def openai() -> Iterator[FakeUpstream]:
    with fake_upstream() as upstream:
        yield upstream


@asynccontextmanager
async def chained(
    folder: Path, ollama_url: str, openai: FakeUpstream
) -> AsyncIterator[tuple[ControlPlane, httpx.AsyncClient]]:
    """A control plane with both backends, and a client of it."""
    known = Settings(ollama_base_url=ollama_url, openai_api_endpoint=f"{openai.url}/v1")
    with control_plane(folder, backends=open_backends(known)) as plane:
        async with client_of(plane, key_of(plane)) as client:
            yield plane, client
        await plane.inference.close()


def ollama_at(url: str, **patience: float) -> OllamaBackend:
    return OllamaBackend(open_upstream(url, **patience))


async def counted(client: httpx.AsyncClient, name: str, suffix: str = "", **labels: str) -> float:
    """The value of one series on `/metrics`; 0 where there is none."""
    metrics = read_metrics((await client.get("/metrics")).text)
    return metrics[f"octomil:inference_{name}"].value(suffix, **labels)


async def test_the_first_that_has_the_model_answers(
    tmp_path: Path, api: OllamaApi, openai: FakeUpstream
):
    async with chained(tmp_path, api.url, openai) as (_, client):
        answer = await client.post(INFERENCE, json=HELLO | {"parameters": {"max_tokens": 2}})
        first = await counted(client, "time_to_first_chunk_seconds", "_count", provider="ollama")
        tokens = await counted(client, "tokens_total", provider="ollama", type="output")

    assert answer.status_code == 200, answer.text
    assert (answer.json()["provider"], answer.json()["output"]) == ("ollama", "low tide")
    assert answer.json()["finish_reason"] == "length"
    assert answer.json()["usage"]["completion_tokens"] == 2
    assert api.seen[0]["options"] == {"num_predict": 2}
    assert openai.seen == []
    assert (first, tokens) == (1, 2)


async def test_a_model_that_one_lacks_is_the_next_one_s_and_no_fault(
    tmp_path: Path, api: OllamaApi, openai: FakeUpstream
):
    async with chained(tmp_path, api.url, openai) as (_, client):
        providers = [
            (await client.post(INFERENCE, json=asked("hello"))).json()["provider"] for _ in range(8)
        ]
        still = await client.post(INFERENCE, json=HELLO)
        passed = await counted(
            client, "fall_overs_total", provider="ollama", reason="unknown_model"
        )

    assert providers == ["openai"] * 8
    assert still.json()["provider"] == "ollama"
    assert passed == 8


async def test_what_is_out_of_reach_is_asked_once_and_then_left_alone(
    tmp_path: Path, openai: FakeUpstream
):
    with nobody() as url:
        async with chained(tmp_path, url, openai) as (_, client):
            before = await counted(client, "backend_asked", provider="ollama")
            answers = [await client.post(INFERENCE, json=asked("hello")) for _ in range(3)]
            after = await counted(client, "backend_asked", provider="ollama")
            passed = await counted(
                client, "fall_overs_total", provider="ollama",
                reason="unavailable",
            )  # fmt: skip
            answered = await counted(
                client, "requests_total", operation="inference",
                provider="openai", outcome="answered",
            )  # fmt: skip

    assert [each.json()["provider"] for each in answers] == ["openai"] * 3
    assert (before, after) == (1, 0)
    assert (passed, answered) == (3, 3)


async def test_a_busy_backend_is_passed_over(tmp_path: Path, api: OllamaApi, openai: FakeUpstream):
    api.is_busy = True
    async with chained(tmp_path, api.url, openai) as (_, client):
        elsewhere = await client.post(INFERENCE, json=HELLO)
        api.is_busy = False
        back = await client.post(INFERENCE, json=HELLO)

    assert (elsewhere.json()["provider"], back.json()["provider"]) == ("openai", "ollama")


async def test_a_backend_that_sends_nothing_in_time_is_passed_over(
    tmp_path: Path, api: OllamaApi, openai: FakeUpstream
):
    api.chill()
    hasty = ollama_at(api.url, read_timeout_s=0.2)
    patient = OpenAIBackend(open_upstream(f"{openai.url}/v1"))
    with control_plane(tmp_path, backends=[hasty, patient]) as plane:
        async with client_of(plane, key_of(plane)) as client:
            answer = await client.post(INFERENCE, json=HELLO)
            passed = await counted(client, "fall_overs_total", provider="ollama", reason="failed")
        await plane.inference.close()

    assert answer.json()["provider"] == "openai"
    assert passed == 1


FAULTS: list[Fault] = ["cut", "error", "garbage", "early end"]


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_has_begun_is_never_answered_twice(
    tmp_path: Path, api: OllamaApi, openai: FakeUpstream, fault: Fault
):
    api.fault = fault
    async with chained(tmp_path, api.url, openai) as (_, client):
        whole = await client.post(INFERENCE, json=HELLO)
        stream = await client.post(STREAM, json=HELLO)
        failed = await counted(
            client, "requests_total", operation="stream", provider="ollama",
            outcome="failed",
        )  # fmt: skip

    assert whole.status_code == 503
    assert "'ollama' failed while it answered" in whole.json()["message"]
    first, error = events_of(stream.content)
    assert (first["token"], first["done"]) == ("low", False)
    assert error["error"] == "service_unavailable"
    assert openai.seen == []
    assert failed == 1


async def test_a_request_that_is_refused_as_wrong_is_tried_nowhere_else(
    tmp_path: Path, api: OllamaApi, openai: FakeUpstream
):
    openai.always(WRITER, failure(400, "the messages make no sense"))
    backends = [OpenAIBackend(open_upstream(f"{openai.url}/v1")), ollama_at(api.url)]
    with control_plane(tmp_path, backends=backends) as plane:
        async with client_of(plane, key_of(plane)) as client:
            answer = await client.post(INFERENCE, json=HELLO)
            refused = await counted(
                client, "requests_total", operation="inference", provider="none",
                outcome="refused",
            )  # fmt: skip
        await plane.inference.close()

    assert answer.status_code == 400
    assert "the messages make no sense" in answer.json()["message"]
    assert api.seen == []
    assert refused == 1


@pytest.mark.parametrize("name", ["who@where", "two words", "accounts/one/models/two", EMBEDDER])
async def test_a_name_or_a_kind_of_model_that_one_does_not_take_is_the_next_one_s(
    tmp_path: Path, api: OllamaApi, openai: FakeUpstream, name: str
):
    async with chained(tmp_path, api.url, openai) as (_, client):
        answer = await client.post(INFERENCE, json=HELLO | {"model_id": name})

    assert answer.status_code == 200, answer.text
    assert answer.json()["provider"] == "openai"
    assert [each["model"] for each in api.seen] == [name]


@pytest.mark.parametrize(("name", "status"), [("who@where", 404), (EMBEDDER, 400)])
async def test_if_there_is_no_next_one_the_refusal_says_which_of_both_it_is(
    tmp_path: Path, api: OllamaApi, name: str, status: int
):
    with control_plane(tmp_path, backends=[ollama_at(api.url)]) as plane:
        async with client_of(plane, key_of(plane)) as client:
            answer = await client.post(INFERENCE, json=HELLO | {"model_id": name})
        await plane.inference.close()

    assert answer.status_code == status
    assert name in answer.json()["message"]


@pytest.mark.usefixtures("patient_streams")
async def test_if_none_can_answer_the_error_says_what_each_said(tmp_path: Path, api: OllamaApi):
    api.is_busy = True
    with nobody() as url:
        settings = Settings(ollama_base_url=api.url, openai_api_endpoint=url)
        with control_plane(tmp_path, backends=open_backends(settings)) as plane:
            async with client_of(plane, key_of(plane)) as client:
                answer = await client.post(INFERENCE, json=HELLO)
                stream = await client.post(STREAM, json=HELLO)
            await plane.inference.close()

    for refused in (answer, stream):
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
    told = answer.json()["message"]
    assert BUSY in told
    assert "openai: it cannot be reached" in told
    assert url not in told


async def test_nobody_waits_for_a_server_that_nobody_said_is_there(tmp_path: Path):
    with nobody() as url:
        absent = AssumedBackend(ollama_at(url))
        backends = [absent, EchoBackend("one", models=["a"])]
        with control_plane(tmp_path, backends=backends) as plane:
            async with client_of(plane, key_of(plane)) as client:
                answers = [await client.post(INFERENCE, json=asked("hello")) for _ in range(2)]
            await plane.inference.close()

    assert [each.status_code for each in answers] == [404, 404]
    assert "ollama: it cannot be reached" in answers[0].json()["message"]


def test_ollama_is_missed_only_where_it_was_set_up():
    by_default, set_up = (
        open_backends(settings)[0]
        for settings in (Settings(), Settings(ollama_base_url="http://127.0.0.1:11435"))
    )

    assert isinstance(by_default, AssumedBackend)
    assert isinstance(set_up, OllamaBackend)


async def test_embeddings_fall_over_too(tmp_path: Path, api: OllamaApi, openai: FakeUpstream):
    async with chained(tmp_path, api.url, openai) as (_, client):
        here = await client.post(EMBEDDINGS, json={"model_id": "all-minilm", "input": "tide"})
        there = await client.post(EMBEDDINGS, json={"model_id": WRITER, "input": "tide"})

    assert (here.json()["provider"], there.json()["provider"]) == ("ollama", "openai")


async def test_what_one_asks_in_vain_of_a_model_keeps_nobody_else_from_the_backend(
    tmp_path: Path, api: OllamaApi
):
    with control_plane(tmp_path, backends=[ollama_at(api.url)]) as plane:
        async with client_of(plane, key_of(plane)) as client:
            refused = [
                await client.post(EMBEDDINGS, json={"model_id": WRITER, "input": "tide"})
                for _ in range(POLICY.failure_threshold)
            ]
            answer = await client.post(INFERENCE, json=HELLO)
        await plane.inference.close()

    assert {each.status_code for each in refused} == {400}
    assert "does not support embeddings" in refused[0].json()["message"]
    assert answer.status_code == 200, answer.text


def test_while_a_model_is_loaded_a_comment_comes_and_then_its_tokens(
    tmp_path: Path, api: OllamaApi
):
    api.chill()
    with upping(tmp_path / "data", env={"OLLAMA_BASE_URL": api.url}) as served:
        key = printed_key(served)
        assert key is not None
        with Caller(served.url) as caller:  # who does not wait for it
            caller.ask(HELLO, path=STREAM, headers=bearer(key))
            api.await_loading()
        api.await_hang_up()
        with (
            httpx.Client(timeout=120, headers=bearer(key)) as client,
            client.stream("POST", served.url + STREAM, json=HELLO) as response,
        ):
            chunks = response.iter_raw()
            first = next(chunks)
            api.warm_up()
            rest = b"".join(chunks)

        assert first == b": still there\n\n"
        told = events_of(rest)
        assert [each["token"] for each in told] == ["low", " tide", " at", " noon", ""]
        assert [each["done"] for each in told] == [False] * 4 + [True]


def test_a_backend_that_comes_back_is_asked_again(tmp_path: Path, openai: FakeUpstream):
    """By itself: a job finds it well."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        env = {**openai.env, "OLLAMA_BASE_URL": f"http://127.0.0.1:{place.getsockname()[1]}"}
        with upping(tmp_path / "data", env=env) as served:
            key = printed_key(served)
            assert key is not None

            def provider() -> str:
                answer = served.post(INFERENCE, HELLO, headers=bearer(key))
                return answer.json()["provider"]

            assert provider() == "openai"
            with app_served(OllamaApi().app(), listener=place):
                assert eventually(lambda: provider() == "ollama")
