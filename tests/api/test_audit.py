"""`--audit-log`: who asked which model, without a word of what was said unless that is wanted."""

import json

import pytest

from epochly.inference.privacy.audit import verify_audit_log
from octomil.errors import ConfigurationError
from octomil.serve.keys import ClientKeys
from support.nodes import chat, client_of, composed_node
from support.prometheus import read_metrics
from support.upstream import failure, fake_upstream

CHAT = "/v1/chat/completions"
PRICE = "openai:small=1000/2000"
SECRET = "Write to ann@example.com about the harvest"


@pytest.fixture
def upstream():
    with fake_upstream() as upstream:
        yield upstream


@pytest.fixture
def audited(upstream, tmp_path):
    """A node that keeps an audit log, and reads it once it has stopped."""

    def make(*models, **options):
        env = {**upstream.env, "OCTOMIL_STATE_DIR": str(tmp_path / "state")}
        options = {"audit_log": tmp_path / "audit", "env": env, **options}
        return composed_node(*(models or ("openai:small",)), **options)

    return make


def text_of(folder):
    return "".join(path.read_text() for path in sorted((folder / "audit").glob("*.jsonl")))


def entries_of(folder):
    verified = verify_audit_log(folder / "audit")
    assert verified.ok, verified.first_bad
    return [json.loads(line)["entry"] for line in text_of(folder).splitlines()]


def only(entries, operation):
    return [entry for entry in entries if entry["operation"] == operation]


async def test_request_is_noted_by_who_what_and_how_it_ended(audited, upstream, tmp_path):
    keys = ClientKeys.parse(["ann=topsecret"])
    headers = {"Authorization": "Bearer topsecret", "X-Request-Id": "r-1"}
    async with audited(prices=(PRICE,)) as node, client_of(node, keys=keys) as client:
        await client.post(CHAT, json=chat(SECRET), headers=headers)

    (request,) = only(entries_of(tmp_path), "request")
    assert (request["model_id"], request["result"]) == ("small", "stop")
    assert request["details"] == {
        "tenant": "ann",
        "request_id": "r-1",
        "tier": 1,
        "prompt_tokens": 3,
        "completion_tokens": 3,
        "cost_usd": pytest.approx(0.009),
    }


async def test_no_text_is_kept_unless_it_is_wanted(audited, tmp_path):
    async with audited() as node, client_of(node) as client:
        await client.post(CHAT, json=chat(SECRET))
        await client.post("/v1/completions", json={"model": "small", "prompt": SECRET})
        await client.post("/v1/embeddings", json={"model": "small", "input": SECRET})

    assert len(only(entries_of(tmp_path), "request")) == 3
    for word in ("harvest", "ann@example.com", "this is small"):
        assert word not in text_of(tmp_path)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, chat(SECRET)),
        ("/v1/completions", {"model": "small", "prompt": SECRET}),
        ("/v1/embeddings", {"model": "small", "input": [SECRET]}),
    ],
)
async def test_text_that_is_wanted_is_redacted(audited, tmp_path, path, body):
    async with audited(audit_content=True) as node, client_of(node) as client:
        await client.post(path, json=body)

    (request,) = only(entries_of(tmp_path), "request")
    assert "about the harvest" in request["details"]["content"]
    assert "ann@example.com" not in text_of(tmp_path)


async def test_long_text_is_cut_where_it_says_so(audited, tmp_path):
    async with audited(audit_content=True) as node, client_of(node) as client:
        await client.post(CHAT, json=chat("harvest " * 20_000))

    (request,) = only(entries_of(tmp_path), "request")
    assert 60_000 < len(request["details"]["content"]) <= 65_536
    assert "harvest harv" in request["details"]["content"][-100:]
    assert request["details"]["content"].endswith('…"}]}')


async def test_request_that_fails_is_noted_too(audited, upstream, tmp_path):
    upstream.always("small", failure(500))
    async with audited() as node, client_of(node) as client:
        await client.post(CHAT, json=chat("Hello"))
        await client.post(CHAT, content=b"{")

    results = [entry["result"] for entry in only(entries_of(tmp_path), "request")]
    assert results == ["error:generation_failed", "error:invalid_json"]


async def test_start_and_stop_are_noted(audited, tmp_path):
    async with audited():
        pass

    first, *_, last = entries_of(tmp_path)
    assert (first["operation"], last["operation"]) == ("node.start", "node.stop")
    assert (first["result"], last["result"]) == ("", "")
    assert first["details"]["models"][0] == "small"


async def test_refused_key_is_noted_without_it(audited, tmp_path):
    keys = ClientKeys.parse(["ann=topsecret"])
    async with audited() as node, client_of(node, keys=keys) as client:
        for key in ("guessed", "topsecret"):
            headers = {"Authorization": f"Bearer {key}", "X-Request-Id": "r-1"}
            await client.get("/v1/models", headers=headers)

    (refused,) = only(entries_of(tmp_path), "key.refused")
    assert refused["details"] == {"path": "/v1/models", "client": "127.0.0.1", "request_id": "r-1"}
    assert "guessed" not in text_of(tmp_path)


async def test_flood_of_refused_keys_leaves_few_records_and_is_counted(audited, tmp_path):
    keys = ClientKeys.parse(["topsecret"])
    async with audited() as node, client_of(node, keys=keys) as client:
        for number in range(500):
            await client.get(f"/{'x' * 5_000}/{number}")
        told = await client.get("/metrics", headers={"Authorization": "Bearer topsecret"})

    refused = [entry["details"] for entry in only(entries_of(tmp_path), "key.refused")]
    assert [details["count"] for details in refused if "count" in details] == [480]
    assert len(refused) == 21
    assert len(text_of(tmp_path)) < 40_000
    assert read_metrics(told.text)["octomil:refused_keys_total"].value() == 500


async def test_spend_cap_that_is_reached_is_noted_once(audited, tmp_path):
    async with audited(prices=(PRICE,), spend_cap_usd=0.01) as node, client_of(node) as client:
        for _ in range(3):
            response = await client.post(CHAT, json=chat("Hello"))
            assert response.status_code == 429

    (reached,) = only(entries_of(tmp_path), "spend_cap.reached")
    assert reached["details"] == {"cap_usd": 0.01}


async def test_log_goes_on_after_a_restart(audited, tmp_path):
    for _ in range(2):
        async with audited() as node, client_of(node) as client:
            await client.post(CHAT, json=chat("Hello"))

    assert len(only(entries_of(tmp_path), "request")) == 2


async def test_log_that_cannot_be_kept_is_an_error_at_the_start(audited, tmp_path):
    (tmp_path / "audit").write_text("in the way")

    with pytest.raises(ConfigurationError, match="no audit log can be kept in"):
        async with audited():
            pass


async def test_content_needs_a_log(audited):
    with pytest.raises(ConfigurationError, match="give --audit-log DIR"):
        async with audited(audit_log=None, audit_content=True):
            pass


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/models", {}, 401),
        ("/v1/chat/completions", {"Authorization": "Bearer guessed"}, 401),
        ("/v1/chat/completions", {"Host": "evil.example"}, 421),
    ],
)
async def test_refusal_at_the_door_carries_an_id_too(upstream, path, headers, status):
    options = {"keys": ClientKeys.parse(["topsecret"]), "allowed_hosts": ["node"]}
    async with (
        composed_node("openai:small", env=upstream.env) as node,
        client_of(node, **options) as client,
    ):
        named = await client.get(path, headers={**headers, "X-Request-Id": "r-1"})
        unnamed = await client.get(path, headers=headers)

    assert (named.status_code, named.headers.get_list("X-Request-Id")) == (status, ["r-1"])
    assert len(unnamed.headers["X-Request-Id"]) == 32


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/models", 200),
        ("GET", "/v1/models/absent", 404),
        ("GET", "/v1/routing/stats", 200),
        ("GET", "/health", 200),
        ("GET", "/metrics", 200),
        ("GET", "/nowhere", 404),
        ("GET", CHAT, 405),
    ],
)
async def test_answer_of_any_other_path_carries_an_id_too(upstream, method, path, status):
    async with composed_node("openai:small", env=upstream.env) as node, client_of(node) as client:
        named = await client.request(method, path, headers={"X-Request-Id": "r-1"})
        unnamed = await client.request(method, path)

    assert (named.status_code, named.headers.get_list("X-Request-Id")) == (status, ["r-1"])
    assert len(unnamed.headers["X-Request-Id"]) == 32


async def test_answer_carries_the_id_of_its_request(upstream):
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    async with composed_node("openai:small", env=upstream.env) as node, client_of(node) as client:
        for path, body in (
            (CHAT, chat("Hello")),
            (CHAT, chat("Hello", stream=True)),
            (CHAT, {}),
            ("/v1/embeddings", {"model": "small", "input": "x"}),
            ("/v1/embeddings", {}),
        ):
            for sent, got in (
                ({"X-Request-Id": "r-1", "traceparent": trace}, "r-1"),
                ({"traceparent": trace}, "a" * 32),
            ):
                response = await client.post(path, json=body, headers=sent)
                assert response.headers.get_list("X-Request-Id") == [got]
            for odd in ({}, {"X-Request-Id": "two words"}, {"traceparent": "nonsense"}):
                given = (await client.post(path, json=body, headers=odd)).headers["X-Request-Id"]
                assert len(given) == 32
