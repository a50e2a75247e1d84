"""Whatever a client sends, the answer is its own fault (4xx) and says where the fault is."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octomil.engines.base import Capabilities
from octomil.engines.echo import EchoEngine
from octomil.errors import InvalidRequestError
from support.nodes import chat, client_of, composed_node, node_of
from support.upstream import fake_upstream

CHAT = "/v1/chat/completions"
PATHS = (CHAT, "/v1/completions", "/v1/embeddings")
MIB = 2**20
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a node in this process, whose faults fail the test."""
    async with (
        composed_node("echo:small", "echo:large", auto_route=True) as node,
        client_of(node) as client,
    ):
        yield client


def refusal(response: httpx.Response, status: int = 400) -> dict[str, Any]:
    """Check that a request was refused in OpenAI's form; return the error."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    return error


MALFORMED = {
    "nothing": b"",
    "spaces": b"  ",
    "half": b'{"messages": [',
    "words": b"hello",
    "python": b"{'messages': []}",
    "comma": b'{"messages": [],}',
    "two": b"{} {}",
    "NaN": b'{"temperature": NaN}',
    "infinity": b'{"temperature": -Infinity}',
    "exponent": b'{"temperature": 1e999}',
    "digits": b'{"seed": %b}' % (b"9" * 10_000),
    "zero": b'{"seed": 007}',
    "latin": '{"model": "é"}'.encode("latin-1"),
    "latin key": '{"é": 1}'.encode("latin-1"),
    "utf-16": '{"model": "x"}'.encode("utf-16"),
    "mark": b"\xef\xbb\xbf{}",
    "raw null": b'{"model": "a\x00b"}',
    "raw break": b'{"model": "a\nb"}',
    "high surrogate": b'{"model": "\\ud800"}',
    "low surrogate": b'{"model": "\\udc00"}',
    "wrong pair": b'{"model": "\\ud800\\u0041"}',
    "bad escape": b'{"model": "\\x41"}',
    "lists": b"[" * 10_000,
    "deep lists": b"[" * 10_000 + b"]" * 10_000,
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "deep inside": b'{"messages": %b%b}' % (b"[" * 10_000, b"]" * 10_000),
    "zeros": bytes(1000),
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", MALFORMED)
async def test_body_that_is_no_json_is_refused(client, path, name):
    error = refusal(await client.post(path, content=MALFORMED[name]))

    assert (error["code"], error["param"]) == ("invalid_json", None)
    assert "JSON" in error["message"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", [b"[]", b"null", b"5", b'"text"', b"true", b"[{}]"])
async def test_json_that_is_no_object_is_refused(client, path, body):
    error = refusal(await client.post(path, content=body))

    assert error["code"] == "invalid_type"
    assert error["message"].startswith("the body: Expected `object`")


def question(**fields: Any) -> dict[str, Any]:
    return chat("Hello", **fields)


def said(**fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "Hello", **fields}]}


def called(call: Any) -> dict[str, Any]:
    """A history in which the assistant made one call of a tool."""
    return said(role="assistant", content=None, tool_calls=[call])


def call_of(**fields: Any) -> dict[str, Any]:
    function = {"name": "add", "arguments": "{}", **fields}
    return called({"id": "call_1", "type": "function", "function": function})


BAD_FIELDS = [
    ({}, "messages"),
    ({"messages": None}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": "Hello"}, "messages"),
    ({"messages": {"role": "user", "content": "x"}}, "messages"),
    ({"messages": [None]}, "messages[0]"),
    ({"messages": ["Hello"]}, "messages[0]"),
    ({"messages": [{}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"content": "x"}]}, "messages[0].role"),
    (said(role="king"), "messages[0].role"),
    (said(role="User"), "messages[0].role"),
    (said(role=None), "messages[0].role"),
    (said(role=["user"]), "messages[0].role"),
    (said(content=5), "messages[0].content"),
    (said(content={"text": "x"}), "messages[0].content"),
    (said(content=None), "messages[0].content"),
    (said(content=["x"]), "messages[0].content[0]"),
    (said(content=[{}]), "messages[0].content[0].type"),
    (said(content=[{"type": "text"}]), "messages[0].content[0].text"),
    (said(content=[{"type": "text", "text": None}]), "messages[0].content[0].text"),
    (said(content=[{"type": "text", "text": ["x"]}]), "messages[0].content[0].text"),
    (said(content=[{"type": 5}]), "messages[0].content[0].type"),
    (said(tool_calls="x"), "messages[0].tool_calls"),
    (called({}), "messages[0].tool_calls[0].type"),
    (called({"type": "robot"}), "messages[0].tool_calls[0].type"),
    (called({"type": "function"}), "messages[0].tool_calls[0].function"),
    (call_of(name=None), "messages[0].tool_calls[0].function.name"),
    (call_of(name=""), "messages[0].tool_calls[0].function.name"),
    (call_of(arguments=None), "messages[0].tool_calls[0].function.arguments"),
    (call_of(arguments={}), "messages[0].tool_calls[0].function.arguments"),
    (call_of(arguments="{bad"), "messages[0].tool_calls[0].function.arguments"),
    (call_of(arguments=""), "messages[0].tool_calls[0].function.arguments"),
    (call_of(arguments="[NaN]"), "messages[0].tool_calls[0].function.arguments"),
    (question(model=5), "model"),
    (question(model=None), "model"),
    (question(model=["small"]), "model"),
    (question(stream="yes"), "stream"),
    (question(stream=1), "stream"),
    (question(stream_options=[]), "stream_options"),
    (question(stream_options={"include_usage": "yes"}), "stream_options.include_usage"),
    (question(n=0), "n"),
    (question(n=-1), "n"),
    (question(n=17), "n"),
    (question(n=1.5), "n"),
    (question(n="2"), "n"),
    (question(n=True), "n"),
    (question(n=10**70), "n"),
    (question(temperature=-0.1), "temperature"),
    (question(temperature=2.1), "temperature"),
    (question(temperature="hot"), "temperature"),
    (question(temperature=True), "temperature"),
    (question(top_p=-0.1), "top_p"),
    (question(top_p=1.1), "top_p"),
    (question(max_tokens=0), "max_tokens"),
    (question(max_tokens=-5), "max_tokens"),
    (question(max_tokens=2**31), "max_tokens"),
    (question(max_tokens=1.5), "max_tokens"),
    (question(max_completion_tokens=0), "max_completion_tokens"),
    (question(stop=5), "stop"),
    (question(stop=[5]), "stop[0]"),
    (question(stop=["x"] * 17), "stop"),
    (question(stop={"at": "x"}), "stop"),
    (question(seed="x"), "seed"),
    (question(seed=1.5), "seed"),
    (question(seed=2**63), "seed"),
    (question(seed=-(2**63) - 1), "seed"),
    (question(presence_penalty=2.1), "presence_penalty"),
    (question(frequency_penalty=-2.1), "frequency_penalty"),
    (question(logit_bias=[]), "logit_bias"),
    (question(logit_bias={"5": "x"}), "logit_bias"),
    (question(logprobs=1), "logprobs"),
    (question(logprobs=True, top_logprobs=21), "top_logprobs"),
    (question(response_format="json"), "response_format"),
    (question(response_format={}), "response_format.type"),
    (question(response_format={"type": "xml"}), "response_format.type"),
    (question(response_format={"type": "json_schema"}), "response_format.json_schema"),
    (
        question(response_format={"type": "json_schema", "json_schema": {"schema": 5}}),
        "response_format.json_schema.schema",
    ),
    (question(tools={}), "tools"),
    (question(tools=[{}]), "tools[0].type"),
    (question(tools=[{"type": "robot", "function": {"name": "f"}}]), "tools[0].type"),
    (question(tools=[{"type": "function"}]), "tools[0].function"),
    (question(tools=[{"type": "function", "function": {}}]), "tools[0].function.name"),
    (question(tools=[{"type": "function", "function": {"name": 5}}]), "tools[0].function.name"),
    (
        question(tools=[{"type": "function", "function": {"name": "f", "parameters": 5}}]),
        "tools[0].function.parameters",
    ),
    (question(tool_choice="required"), "tool_choice"),
    (question(tool_choice="sometimes"), "tool_choice"),
    (question(tool_choice=5), "tool_choice"),
    (question(tool_choice={}), "tool_choice.function"),
    (question(tool_choice={"function": {"name": "g"}}), "tool_choice"),
    (question(user=5), "user"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("body", "field"), BAD_FIELDS)
async def test_field_at_fault_is_named(client, body, field, stream):
    error = refusal(await client.post(CHAT, json={"stream": stream, **body}))

    assert error["code"] in ("invalid_type", "invalid_value")
    assert error["message"].startswith(field)
    assert error["param"] == field or error["param"].startswith(f"{field}[")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [1, 2, 3]}, "prompt[0]"),
        ({"prompt": ["x"] * 65}, "prompt"),
        ({"prompt": {"text": "x"}}, "prompt"),
        ({"prompt": "x", "logprobs": True}, "logprobs"),
        ({"prompt": "x", "logprobs": 21}, "logprobs"),
        ({"prompt": "x", "n": 0}, "n"),
        ({"prompt": "x", "echo": "yes"}, "echo"),
    ],
)
async def test_field_at_fault_is_named_for_completions_too(client, body, field):
    error = refusal(await client.post("/v1/completions", json=body))

    assert error["param"] == field
    assert error["message"].startswith(field)


@pytest.mark.parametrize("model", ["auto", "small"])
@pytest.mark.parametrize(
    "part", [IMAGE, {"type": "input_audio", "input_audio": {}}, {"type": "file", "file": {}}]
)
async def test_what_a_text_model_cannot_read_is_refused_in_plain_words(client, part, model):
    parts = [{"type": "text", "text": "What is this?"}, part]

    error = refusal(await client.post(CHAT, json=chat(parts, model=model)))

    assert error["param"] == "messages"
    assert "images, sound or files: it reads text only" in error["message"]


async def test_picture_in_an_earlier_message_counts_as_well(client):
    messages = [
        {"role": "user", "content": [IMAGE]},
        {"role": "assistant", "content": "A cat."},
        {"role": "user", "content": "Which?"},
    ]

    error = refusal(await client.post(CHAT, json={"messages": messages}))

    assert error["param"] == "messages"


@pytest.mark.parametrize(
    "content",
    [
        "null \x00 byte",
        "\U0001f600 \N{ZERO WIDTH JOINER} \u202e right to left",
        "data: [DONE]\n\n",
        "\r\n\r\nHTTP/1.1 200 OK\r\n",
        "<script>alert(1)</script>",
        "a" * 100_000,
        "",
        " ",
        "\N{LATIN SMALL LETTER E}\N{COMBINING ACUTE ACCENT}" * 10,
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_strange_text_is_text(client, content, stream):
    response = await client.post(CHAT, json=chat(content, stream=stream, model="small"))

    assert response.status_code == 200, response.text
    assert response.content.count(b"data: [DONE]\n\n") == stream


async def test_last_of_several_equal_keys_counts(client):
    body = b'{"messages": [], "model": "x", "messages": [{"role": "user", "content": "Hello"}]'

    response = await client.post(CHAT, content=body + b', "model": "small"}')

    assert response.json()["choices"][0]["message"]["content"] == "Hello"


@pytest.mark.parametrize(
    "name", ["small\r\nSet-Cookie: a=b", "small\x00", "\u2028", "é", "../", ""]
)
async def test_strange_model_name_is_unknown_and_reaches_no_header(client, name):
    response = await client.post(CHAT, json=question(model=name))

    error = refusal(response, 404)
    assert error["code"] == "model_not_found"
    assert set(response.headers) == {"content-type", "content-length", "x-request-id"}


async def test_huge_schema_is_refused_before_it_grows(client):
    grown: dict[str, Any] = {"type": "string"}
    for _ in range(9):
        grown = {"type": "array", "minItems": 999_999_999, "items": grown}
    wanted = {"type": "json_schema", "json_schema": {"schema": grown}}

    error = refusal(await client.post(CHAT, json=question(response_format=wanted)))

    assert error["param"] == "response_format"


def wide(values: int) -> dict[str, Any]:
    """A schema of exactly so many values."""
    return {"enum": ["x"] * (values - 2)}


def wanting(schema: dict[str, Any]) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}


def with_tools(*schemas: dict[str, Any]) -> dict[str, Any]:
    functions = [{"name": f"f{n}", "parameters": schema} for n, schema in enumerate(schemas)]
    return {"tools": [{"type": "function", "function": function} for function in functions]}


@pytest.mark.parametrize(
    "fields",
    [
        wanting(wide(10_000)),
        with_tools(wide(10_000)),
        with_tools(wide(5000), wide(5000)),
        with_tools(*[{"properties": {name: {} for name in "abcdef"}}] * 400),
        wanting({"properties": {f"p{n}": {} for n in range(300)}}),
        wanting(
            {
                "properties": {f"p{n}": {} for n in range(900)},
                "required": [f"p{n}" for n in range(900)],
            }
        ),
    ],
)
async def test_schema_as_large_as_allowed_is_taken(client, fields):
    assert (await client.post(CHAT, json=question(**fields))).status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        wanting(wide(10_001)),
        wanting({"properties": {f"p{n}": {"enum": ["x"] * 50} for n in range(2000)}}),
        wanting({"allOf": [{"a": [{}] * 99}] * 101}),
        with_tools(wide(10_001)),
        with_tools(*[wide(1000)] * 11),
        wanting({"properties": {f"p{n}": {} for n in range(316)}}),
        wanting({"enum": ["x" * 1000] * 400}),
        wanting({"const": "x" * 250_000}),
        wanting({"properties": {"x" * 250_000: {}}}),
        wanting({"properties": {f"p{n}": {} for n in range(400)}, "required": [{}, 5, "q"]}),
    ],
)
async def test_schema_that_would_keep_a_worker_busy_for_long_is_refused(client, fields):
    error = refusal(await client.post(CHAT, json=question(**fields)))

    (field,) = fields
    assert error["param"] == field
    assert "schemas of more than 10,000 values together" in error["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 3, "model": "one"},
        {"tools": with_tools({})["tools"], "model": "plain"},
    ],
)
async def test_what_a_model_cannot_do_has_a_code(fields):
    class Plain(EchoEngine):
        capabilities = Capabilities(tools=False)

    class Single(EchoEngine):
        def stream(self, request):
            raise InvalidRequestError("n must be at most 2", param="n")

    engines = {"one": Single("one"), "plain": Plain("plain")}
    async with node_of(engines) as node, client_of(node) as client:
        error = refusal(await client.post(CHAT, json=question(**fields)))

    assert error["code"] == "invalid_request"
    assert error["param"] in fields


async def test_call_in_the_history_is_taken_as_openai_writes_it(client):
    history = [
        {"role": "user", "content": "What is 1 + 1?"},
        *call_of(arguments='{"a": 1, "b": 1}')["messages"],
        {"role": "tool", "tool_call_id": "call_1", "content": "2"},
    ]

    assert (await client.post(CHAT, json={"messages": history})).status_code == 200


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
async def test_model_may_be_named_in_any_letters_in_the_header(encoding):
    async with composed_node("echo:small", "echo:modèle") as node, client_of(node) as client:
        headers = {"X-Model": "modèle".encode(encoding)}
        response = await client.post(CHAT, json=question(), headers=headers)

    assert response.status_code == 200, response.text
    assert response.json()["model"] == "modèle"


async def test_unknown_fields_are_left_to_the_engine(client):
    response = await client.post(CHAT, json=question(mirostat=2, cache_prompt=True))

    assert response.status_code == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_json_of_any_depth_is_answered_or_refused_also_on_the_way_upstream(stream):
    with fake_upstream() as upstream:
        async with (
            composed_node("openai:small", env=upstream.env) as node,
            client_of(node) as client,
        ):
            whole = json.dumps(question(model="small", stream=stream))[:-1]
            bodies = [f'{whole}, "x": {"[" * depth}{"]" * depth}}}' for depth in range(880, 1000)]
            statuses = [(await client.post(CHAT, content=body)).status_code for body in bodies]

    assert statuses == sorted(statuses)
    assert set(statuses) == {200, 400}


# ---- on the wire ----


def raw(url: str, request: bytes) -> tuple[int, bytes]:
    """Send bytes to a node, and return status and body of its answer."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=120) as connection:
        connection.sendall(request)
        head, _, body = _read_all(connection).partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def _read_all(connection: socket.socket) -> bytes:
    """Read one answer that says its length."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _more(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    (length,) = [
        int(line.split(b":")[1])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    ]
    while len(body) < length:
        body += _more(connection)
    return head + b"\r\n\r\n" + body


def _more(connection: socket.socket) -> bytes:
    chunk = connection.recv(65536)
    assert chunk, "the connection was closed without an answer"
    return chunk


def megabytes(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b"x" * MIB


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [{}, {"Content-Length": str(100 * MIB)}])
def test_body_of_a_hundred_megabytes_is_refused(echo_server, path, headers):
    response = echo_server.post(path, content=megabytes(100), headers=headers)

    error = refusal(response, 413)
    assert error["code"] == "request_too_large"
    assert error["message"] == "the body is larger than 16 MiB"


def test_huge_body_is_refused_on_its_announcement(echo_server):
    head = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 104857600\r\n\r\n"

    status, body = raw(echo_server.url, head)

    assert status == 413
    assert json.loads(body)["error"]["code"] == "request_too_large"


def test_body_as_large_as_allowed_is_read(echo_server):
    body = json.dumps(chat("x" * 10)).encode()
    padded = body + b" " * (16 * MIB - len(body))

    assert echo_server.post(CHAT, content=padded).status_code == 200
    assert echo_server.post(CHAT, content=padded + b" ").status_code == 413


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_content_type_does_not_matter(echo_server, kind):
    body = json.dumps(chat("Hello")).encode()

    assert echo_server.post(CHAT, content=body, headers={"Content-Type": kind}).status_code == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"HELLO\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 9999999999999999999999\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nX-Model: a\x00b\r\n\r\n",
    ],
)
def test_request_that_is_no_http_is_a_400(echo_server, request_bytes):
    status, _ = raw(echo_server.url, request_bytes)

    assert status == 400


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (b"Host: [", 421),
        (b"Host: \xff", 421),
        (b"Host:", 200),
        (b"X-Model: \xff\xfe", 404),
        (b"X-Model: " + b"m" * 8000, 404),
    ],
)
def test_strange_header_never_breaks_the_answer(echo_server, header, status):
    body = json.dumps(chat("Hello")).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n%b\r\n\r\n"

    asked, _ = raw(echo_server.url, head % (len(body), header) + body)
    lost, _ = raw(echo_server.url, b"GET /nowhere HTTP/1.1\r\n%b\r\n\r\n" % header)

    assert (asked, lost) == (status, 421 if status == 421 else 404)


def test_node_is_none_the_worse_for_it(echo_server):
    for body in MALFORMED.values():
        echo_server.post(CHAT, content=body)

    assert echo_server.chat("Hello").status_code == 200
    assert echo_server.get("/health").json()["models"]["small"]["restarts"] == 0


# ---- anything at all ----

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["auto", "small", "user", "system", "text", "function", "json_schema", "f"])
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "type", "text", "function", "name", "schema", "enum"]
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=6,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system", "tool"])},
        optional={
            "content": ANYTHING
            | st.lists(
                st.fixed_dictionaries({"type": st.just("text")}, optional={"text": ANYTHING}),
                max_size=2,
            ),
            "tool_calls": ANYTHING,
        },
    ),
    max_size=3,
)
SCHEMAS = st.recursive(
    st.sampled_from([{"type": "string"}, {"enum": []}, {"type": ["null"]}, {"const": 1}, {}]),
    lambda inner: st.fixed_dictionaries(
        {"type": st.sampled_from(["object", "array", 5, None])},
        optional={
            "properties": st.dictionaries(st.text(max_size=3), inner, max_size=2),
            "items": inner,
            "minItems": st.sampled_from([0, 2, 10**9, -1, 1.5, "x"]),
        },
    ),
    max_leaves=5,
)
TOOLS = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.just("function"),
            "function": st.fixed_dictionaries(
                {"name": st.just("f")}, optional={"parameters": SCHEMAS}
            ),
        }
    ),
    max_size=2,
)
SHAPED = {
    "messages": MESSAGES,
    "prompt": st.text(max_size=8) | st.lists(st.text(max_size=4), max_size=3),
    "input": st.text(max_size=8) | st.lists(st.text(max_size=4), max_size=3),
    "model": st.sampled_from(["auto", "small", "large", "?"]),
    "tools": TOOLS,
    "tool_choice": st.sampled_from(
        ["none", "auto", "required", {"type": "function", "function": {"name": "f"}}]
    ),
    "response_format": st.builds(
        lambda schema: {"type": "json_schema", "json_schema": {"schema": schema}}, SCHEMAS
    ),
    "stream": st.booleans(),
    "n": st.integers(0, 3),
    "logprobs": st.booleans() | st.integers(0, 3),
    "stop": st.text(max_size=2) | st.lists(st.text(max_size=2), max_size=2),
}
LOOSE = ("temperature", "seed", "max_tokens", "stream_options", "logit_bias", "top_p", "dimensions")
BODIES = st.fixed_dictionaries(
    {},
    optional={
        **{name: shaped | shaped | ANYTHING for name, shaped in SHAPED.items()},
        **dict.fromkeys(LOOSE, ANYTHING),
    },
)


@asynccontextmanager
async def thrown_at() -> AsyncIterator[httpx.AsyncClient]:
    options = {"auto_route": True, "embedder": "echo:small"}
    async with (
        composed_node("echo:small", "echo:large", **options) as node,
        client_of(node) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def throw() -> Iterator[Callable[[str, bytes], httpx.Response]]:
    """Send a body to a node in this process; a fault that escapes it fails the test."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        stack = AsyncExitStack()
        client = runner.run(stack.enter_async_context(thrown_at()))
        yield lambda path, body: runner.run(_send(client, path, body))
        runner.run(stack.aclose())


async def _send(client: httpx.AsyncClient, path: str, body: bytes) -> httpx.Response:
    return await client.post(path, content=body)


def check_answered(response: httpx.Response) -> None:
    """Either it was answered, or refused with a message that the client can act on."""
    assert response.status_code in (200, 400, 404), response.text
    if response.status_code != 200:
        assert response.json()["error"]["message"]
    assert b"internal_error" not in response.content


@settings(max_examples=300, deadline=None)
@given(path=st.sampled_from(PATHS), body=BODIES | ANYTHING)
def test_no_json_whatsoever_breaks_the_node(throw, path, body):
    check_answered(throw(path, json.dumps(body).encode()))


@settings(max_examples=100, deadline=None)
@given(
    path=st.sampled_from(PATHS), body=BODIES, cut=st.integers(0, 300), junk=st.binary(max_size=5)
)
def test_no_bytes_whatsoever_break_the_node(throw, path, body, cut, junk):
    whole = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")

    check_answered(throw(path, whole[:cut] + junk + whole[cut:]))
