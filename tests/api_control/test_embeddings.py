"""`/embeddings` over plain HTTP."""

from typing import Any

import httpx
import pytest

from support.caller import Caller
from support.control import bearer
from support.inference import EMBEDDINGS
from support.serving import ServeProcess
from support.upstream import Answer, FakeUpstream, Gate


async def embedded(client: httpx.AsyncClient, given: Any) -> dict[str, Any]:
    answer = await client.post(EMBEDDINGS, json={"model_id": "nomic-embed-text", "input": given})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_text_becomes_a_vector(admin: httpx.AsyncClient):
    told = await embedded(admin, "Federated learning preserves data privacy.")

    (row,) = told["data"]
    assert (row["object"], row["index"], len(row["embedding"])) == ("embedding", 0, 16)
    assert sum(x * x for x in row["embedding"]) == pytest.approx(1)
    assert told["model"] == "nomic-embed-text"
    assert told["provider"] == "echo"
    assert told["usage"] == {"prompt_tokens": 5, "total_tokens": 5}


async def test_texts_become_vectors_in_their_order(admin: httpx.AsyncClient):
    told = await embedded(admin, ["hello", "world", "hello"])

    vectors = [row["embedding"] for row in told["data"]]
    assert [row["index"] for row in told["data"]] == [0, 1, 2]
    assert vectors[0] == vectors[2] != vectors[1]
    assert told["usage"]["total_tokens"] == 3


@pytest.mark.parametrize("given", [[], ["x"] * 2049, [1], None, {"text": "x"}])
async def test_what_makes_no_sense_is_refused(admin: httpx.AsyncClient, given: Any):
    answer = await admin.post(EMBEDDINGS, json={"model_id": "m", "input": given})

    assert answer.status_code == 422
    fields = {each["field"].split(".")[0] for each in answer.json()["details"]["fields"]}
    assert fields == {"input"}


def test_a_client_that_hangs_up_is_not_waited_for(
    served: ServeProcess, key: str, upstream: FakeUpstream
):
    gate = Gate()
    upstream.script("m", Answer([b"{}"], hold=gate))
    with Caller(served.url) as caller:
        body = {"model_id": "m", "input": "tide"}
        caller.ask(body, path=EMBEDDINGS, headers=bearer(key))
        gate.await_waiting()

    gate.await_hang_up()


def test_vectors_that_are_too_few_are_an_error(
    served: ServeProcess, key: str, upstream: FakeUpstream
):
    upstream.script("m", Answer([b'{"data": [{"index": 0, "embedding": [1.0]}]}']))

    answer = served.post(
        EMBEDDINGS, {"model_id": "m", "input": ["one", "two"]}, headers=bearer(key)
    )

    assert answer.status_code == 503
