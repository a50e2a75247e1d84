"""Web pages in a browser on the same machine: which may call the node, and what they may read."""

import re
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from octomil.serve.keys import ClientKeys
from support.caller import CHAT, Caller
from support.documents import ROOT
from support.nodes import chat, client_of, composed_node
from support.serving import ServeProcess, serving

APP, EVIL = "https://app.example", "https://evil.example"

# What OpenAI's JavaScript client sends from a browser.
OPENAI_HEADERS = (
    "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,"
    "x-stainless-package-version,x-stainless-retry-count,x-stainless-runtime,"
    "x-stainless-runtime-version,x-stainless-timeout"
)


@pytest.fixture(scope="module")
def open_node() -> Iterator[ServeProcess]:
    """A keyless node on loopback that one origin's pages, and one more host name, may use."""
    options = ("--cors-origin", APP, "--allowed-host", "box.lan")
    with serving("echo:small", *options) as served:
        yield served


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a node in this process that one origin's pages may use."""
    async with (
        composed_node("echo:small") as node,
        client_of(node, cors_origins=[APP]) as client,
    ):
        yield client


def preflight(origin: str, **more: str) -> dict[str, str]:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    return {**asked, "Access-Control-Request-Headers": OPENAI_HEADERS, **more}


def refusal(response: httpx.Response, status: int) -> str:
    """Check that a request was refused in OpenAI's form; return the message."""
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["code"] == {403: "origin_not_allowed", 421: "host_not_allowed"}[status]
    return error["message"]


# ---- pages that may ----


async def test_openai_s_javascript_client_may_send_all_its_headers(client):
    response = await client.options(CHAT, headers=preflight(APP))

    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == APP
    allowed = response.headers["Access-Control-Allow-Headers"].replace(" ", "").split(",")
    assert set(OPENAI_HEADERS.split(",")) <= set(allowed)


async def test_page_on_the_internet_may_ask_for_a_node_on_this_machine(client):
    asked = preflight(APP, **{"Access-Control-Request-Private-Network": "true"})

    response = await client.options(CHAT, headers=asked)

    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Private-Network"] == "true"


async def test_page_may_read_every_documented_header_of_an_answer(client):
    table = (ROOT / "docs/serve.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `([\w-]+)` \| answer \|", table, re.MULTILINE)

    response = await client.post(CHAT, json=chat("Hello"), headers={"Origin": APP})

    assert response.status_code == 200
    exposed = response.headers["Access-Control-Expose-Headers"].split(", ")
    assert set(documented) <= set(exposed)
    assert len(documented) >= 7


async def test_every_page_may_if_every_origin_is_named():
    async with (
        composed_node("echo:small") as node,
        client_of(node, cors_origins=["*"]) as client,
    ):
        response = await client.post(CHAT, json=chat("Hello"), headers={"Origin": EVIL})

    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == "*"


# ---- pages that may not ----


@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
@pytest.mark.parametrize(
    "origin", [EVIL, "null", "https://app.example.evil.example", "http://app.example"]
)
@pytest.mark.parametrize(
    "path", [CHAT, "/v1/completions", "/v1/embeddings", "/v1/models", "/nowhere"]
)
async def test_page_of_another_origin_is_refused(client, path, origin, kind):
    headers = {"Origin": origin, "Content-Type": kind}

    message = refusal(await client.post(path, json=chat("Hello"), headers=headers), 403)

    assert message == f"pages of {origin} may not call this node; allow them with --cors-origin"


async def test_preflight_of_another_origin_is_refused(client):
    response = await client.options(CHAT, headers=preflight(EVIL))

    refusal(response, 403)
    assert not [name for name in response.headers if name.startswith("access-control")]


async def test_page_of_no_origin_may_where_none_is_named():
    async with composed_node("echo:small") as node, client_of(node) as client:
        refusal(await client.post(CHAT, json=chat("Hello"), headers={"Origin": APP}), 403)


@pytest.mark.parametrize("origin", ["http://node", "HTTP://NODE"])
async def test_page_of_the_node_s_own_origin_may(client, origin):
    response = await client.post(CHAT, json=chat("Hello"), headers={"Origin": origin})

    assert response.status_code == 200


async def test_page_that_has_the_key_is_stopped_by_its_browser_alone():
    async with (
        composed_node("echo:small") as node,
        client_of(node, keys=ClientKeys.parse(["secret"])) as client,
    ):
        headers = {"Origin": EVIL, "Authorization": "Bearer secret"}
        called = await client.post(CHAT, json=chat("Hello"), headers=headers)
        asked = await client.options(CHAT, headers=preflight(EVIL))

    assert called.status_code == 200
    assert asked.status_code == 401
    assert "Access-Control-Allow-Origin" not in {**called.headers, **asked.headers}


# ---- names that lead here ----


def ask(served: ServeProcess, *headers: str, path: str = "/v1/models") -> httpx.Response:
    """Send a request with these headers only."""
    lines = [f"GET {path} HTTP/1.1", *headers, "Connection: close", "", ""]
    with Caller(served.url) as caller:
        caller.send("\r\n".join(lines).encode())
        response = caller.response()
        return httpx.Response(response.status, content=response.read())


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:1234", "LOCALHOST", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:8080",
     "box.lan", "Box.lan:8080"],
)  # fmt: skip
def test_node_answers_to_its_own_names(open_node, host):
    assert ask(open_node, f"Host: {host}").status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example",
     "[::2]:80", "192.168.0.1", "evil.example:localhost", "localhost:x", "[", "\xff"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/models", "/health", "/nowhere"])
def test_name_that_is_made_to_lead_here_is_refused(open_node, host, path):
    message = refusal(ask(open_node, f"Host: {host}", path=path), 421)

    assert message.endswith("allow it with --allowed-host")


def test_hot_path_asks_for_the_name_too(open_node):
    headers = {"Host": "evil.example", "Content-Type": "text/plain"}
    message = refusal(open_node.post(CHAT, chat("Hello"), headers=headers), 421)

    assert message == "this node is not 'evil.example'; allow it with --allowed-host"


def test_page_that_made_its_own_name_lead_here_is_refused(open_node):
    refusal(ask(open_node, "Host: evil.example:80", "Origin: http://evil.example:80"), 421)


def test_second_name_cannot_hide_behind_the_first(open_node):
    refusal(ask(open_node, "Host: localhost", "Host: evil.example"), 421)


def test_program_that_gives_no_name_is_served(open_node):
    assert ask(open_node).status_code == 200
    assert ask(open_node, "Host:").status_code == 200


@pytest.mark.parametrize("options", [("--host", "0.0.0.0"), ("--api-key", "secret")])
def test_node_with_names_of_its_own_or_a_key_answers_to_any(options):
    with serving("echo:small", *options) as served:
        served.url = served.url.replace("0.0.0.0", "127.0.0.1")
        headers = ("Host: node.lan", "Authorization: Bearer secret")

        assert ask(served, *headers).status_code == 200


def test_node_with_a_key_answers_to_the_names_it_was_given_alone():
    with serving("echo:small", "--api-key", "secret", "--allowed-host", "node.lan") as served:
        key = "Authorization: Bearer secret"

        assert ask(served, "Host: node.lan", key).status_code == 200
        refusal(ask(served, "Host: other.lan", key), 421)


# ---- pages that have a key ----


async def test_page_without_the_key_can_read_why_it_is_turned_away():
    async with (
        composed_node("echo:small") as node,
        client_of(node, keys=ClientKeys.parse(["secret"]), cors_origins=[APP]) as client,
    ):
        asked = await client.options(CHAT, headers=preflight(APP))
        refused = await client.post(CHAT, json=chat("Hello"), headers={"Origin": APP})
        foreign = await client.options(CHAT, headers=preflight(EVIL))

    assert (asked.status_code, refused.status_code) == (200, 401)
    assert refused.headers["Access-Control-Allow-Origin"] == APP
    assert "Access-Control-Allow-Origin" not in foreign.headers
