import json
from contextlib import aclosing

import jsonschema
import pytest

from octomil.engines.base import Usage
from octomil.engines.llama_cpp.tool_calls import (
    ToolUse,
    lift_tool_calls,
    parse_tool_calls,
    tool_use,
)
from octomil.http.sse import encode_event, event_data

NAMES = frozenset({"get_weather", "get_time", "write_file"})
CALL = '{"name": "get_weather", "arguments": {"city": "Paris"}}'
PRETTY = json.dumps(json.loads(CALL), indent=2)
WEATHER = ("get_weather", {"city": "Paris"})
TIME = ("get_time", {})
ITEM = {
    "type": "object",
    "properties": {"item": {"$ref": "#/$defs/Item"}},
    "required": ["item"],
    "$defs": {
        "Item": {"type": "object", "properties": {"sku": {"enum": ["A1"]}, "next": {"$ref": "#"}}}
    },
}

LIFTED = {
    "bare": (CALL, [WEATHER]),
    "bare and indented": (f"\n {PRETTY}\n", [WEATHER]),
    "fenced as JSON": (f"```json\n{PRETTY}\n```", [WEATHER]),
    "fenced without a language": (f"```\n{CALL}\n```\n\n\n", [WEATHER]),
    "in tags": (f"<tool_call>\n{CALL}\n</tool_call>", [WEATHER]),
    "in tags that do not end": (f"<tool_call>\n{CALL}", [WEATHER]),
    "in tags inside a fence": (f"```xml\n<tool_call>\n{CALL}\n</tool_call>\n```", [WEATHER]),
    "in the tags of the tool list": (f"<tools>\n{CALL}\n</tools>", [WEATHER]),
    "in doubled braces": (f"{{{CALL}}}", [WEATHER]),
    "in braces doubled only at the front": (f"{{{CALL}", [WEATHER]),
    "several in tags": (
        f'<tool_call>{CALL}</tool_call>\n<tool_call>{{"name": "get_time"}}</tool_call>',
        [WEATHER, TIME],
    ),
    "several in doubled braces": (
        f'{{{CALL}}}\n{{{{"name": "get_time", "arguments": {{}}}}}}',
        [WEATHER, TIME],
    ),
    "several fences": (
        f'```json\n{CALL}\n```\n```json\n{{"name": "get_time"}}\n```',
        [WEATHER, TIME],
    ),
    "several in one fence": (f'```json\n{CALL},\n{{"name": "get_time"}}\n```', [WEATHER, TIME]),
    "a list": (f'[{CALL}, {{"name": "get_time", "arguments": {{}}}}]', [WEATHER, TIME]),
    "with Llama's word for arguments": (
        '{"type": "function", "name": "get_weather", "parameters": {"city": "Paris"}}',
        [WEATHER],
    ),
    "arguments as a string of JSON": (
        '{"name": "get_weather", "arguments": "{\\"city\\": \\"Paris\\"}"}',
        [WEATHER],
    ),
    "arguments that hold marks and braces": (
        '{"name": "write_file", "arguments": {"text": "```json\\n}{</tool_call>\\n```"}}',
        [("write_file", {"text": "```json\n}{</tool_call>\n```"})],
    ),
    "arguments that are not ASCII": (
        '{"name": "get_weather", "arguments": {"city": "Zürich 🌦"}}',
        [("get_weather", {"city": "Zürich 🌦"})],
    ),
}

KEPT = {
    "prose": "The capital of France is Paris.",
    "prose with an angle": "2 < 3 and <b>bold</b>",
    "code": "Here:\n```python\nprint({'name': 1})\n```\nDone.",
    "code in a language like JSON": "```js\nconst a = [1]\n```",
    "JSON that is no call": '{"city": "Paris"}',
    "a list that is no call": "[1, 2]",
    "an unknown function": '{"name": "rm", "arguments": {}}',
    "a call among others that are none": f'[{CALL}, {{"name": "rm"}}]',
    "a tool's own description": (
        '<tools>{"type": "function", "function": {"name": "get_weather"}}</tools>'
    ),
    "a description with its parameters": (
        '{"name": "get_weather", "description": "Weather", "parameters": {"type": "object"}}'
    ),
    "an example that is explained": f"For example:\n```json\n{CALL}\n```\nThis asks for weather.",
    "a call cut short": CALL[:-3],
    "a second call cut short": f"{CALL}\n{CALL[:20]}",
    "arguments that are no object": '{"name": "get_time", "arguments": [1]}',
    "arguments that are no JSON": '{"name": "get_time", "arguments": "now"}',
    "not a number": '{"name": "get_weather", "arguments": {"city": NaN}}',
    "braces without end": "{" * 200,
    "brackets without end": "[" * 100_000,
    "an empty answer": "",
}


def chunk(text=None, *, index=0, finish=None, **more):
    delta = {} if text is None else {"content": text}
    choice = {"index": index, "delta": delta, "finish_reason": finish, **more}
    return encode_event(json.dumps({"id": "x", "choices": [choice]}).encode())


async def lift(blocks, use=None, usage=None):
    """Feed blocks, and return the chunks that come out."""

    async def feed():
        for block in blocks:
            yield block

    use = use or ToolUse(NAMES)
    out = []
    async with aclosing(lift_tool_calls(feed(), use, usage or Usage())) as events:
        async for block in events:
            out += [json.loads(data) for data in event_data(block)]
    return out


def told(chunks, index=0):
    """Return a choice's text, calls and finish reason as a client puts them together."""
    text, calls, finish = "", [], None
    for event in chunks:
        for choice in event["choices"]:
            if choice["index"] == index:
                text += choice["delta"].get("content") or ""
                calls += choice["delta"].get("tool_calls") or []
                finish = choice["finish_reason"] or finish
    functions = [call["function"] for call in calls]
    return text, [(f["name"], json.loads(f["arguments"])) for f in functions], finish


@pytest.mark.parametrize(("text", "calls"), LIFTED.values(), ids=LIFTED)
async def test_call_is_lifted_wherever_the_stream_is_cut(text, calls):
    for cut in range(len(text) + 1):
        blocks = [chunk(""), chunk(text[:cut]), chunk(text[cut:]), chunk(finish="stop")]

        said, lifted, finish = told(await lift(blocks))

        assert (said.strip(), lifted, finish) == ("", calls, "tool_calls")


@pytest.mark.parametrize(("text", "calls"), LIFTED.values(), ids=LIFTED)
async def test_call_is_lifted_from_a_stream_of_single_characters(text, calls):
    chunks = await lift([*map(chunk, text), chunk(finish="length")])

    assert told(chunks) == ("", calls, "tool_calls")


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
async def test_other_text_arrives_unchanged_wherever_the_stream_is_cut(text):
    for cut in {0, 1, 2, 3, len(text) // 2, *range(min(len(text), 200))}:
        chunks = await lift([chunk(text[:cut]), chunk(text[cut:]), chunk(finish="stop")])

        assert told(chunks) == (text, [], "stop")


async def test_other_text_arrives_unchanged_from_a_stream_of_single_characters():
    text = "\n\n".join(text for text in KEPT.values() if len(text) < 1000)

    chunks = await lift([*map(chunk, text), chunk(finish="stop")])

    assert told(chunks) == (text, [], "stop")


async def test_text_before_a_call_streams_at_once_and_stays():
    chunks = await lift(
        [chunk("Let me look. "), chunk("<tool"), chunk(f"_call>{CALL}"), chunk(finish="stop")]
    )

    assert chunks[0]["choices"][0]["delta"]["content"] == "Let me look. "
    assert told(chunks) == ("Let me look. ", [WEATHER], "tool_calls")


async def test_prose_is_never_held_back():
    words = ["The ", "sky ", "is ", "blue."]

    chunks = await lift([*map(chunk, words), chunk(finish="stop")])

    assert [c["choices"][0]["delta"].get("content") for c in chunks] == [*words, None]


async def test_code_is_held_back_no_longer_than_its_fence():
    chunks = await lift([chunk("```"), chunk("py"), chunk("thon\n"), chunk("x = 1\n")])

    said = [c["choices"][0]["delta"]["content"] for c in chunks]
    assert said == ["```py", "thon\n", "x = 1\n"]


async def test_chunks_that_say_nothing_are_left_out():
    chunks = await lift([*map(chunk, CALL), chunk(finish="stop")])

    assert len(chunks) == 1


async def test_usage_chunk_and_log_probabilities_pass_while_text_is_held():
    usage = encode_event(json.dumps({"choices": [], "usage": {"total_tokens": 3}}).encode())
    scores = {"content": [{"token": "{", "logprob": -0.1}]}

    chunks = await lift([chunk(CALL, logprobs=scores), chunk(finish="stop"), usage])

    assert chunks[0]["choices"][0]["logprobs"] == scores
    assert chunks[-1]["usage"] == {"total_tokens": 3}


async def test_choices_are_held_apart():
    half = len(CALL) // 2
    blocks = [
        chunk(CALL[:half], index=0),
        chunk("It is ", index=1),
        chunk(CALL[half:], index=0),
        chunk("sunny.", index=1),
        chunk(finish="stop", index=1),
        chunk(finish="stop", index=0),
    ]

    chunks = await lift(blocks)

    assert told(chunks, 0) == ("", [WEATHER], "tool_calls")
    assert told(chunks, 1) == ("It is sunny.", [], "stop")


async def test_calls_the_engine_lifted_itself_pass_unchanged():
    call = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    choice = {"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}
    native = encode_event(json.dumps({"choices": [choice]}).encode())

    chunks = await lift([native, chunk(finish="tool_calls")])

    assert told(chunks) == ("", [("f", {})], "tool_calls")


async def test_only_the_first_call_counts_where_parallel_calls_are_off():
    use = ToolUse(NAMES, parallel=False)

    chunks = await lift([chunk(f"{CALL}\n{CALL}"), chunk(finish="stop")], use)

    assert told(chunks) == ("", [WEATHER], "tool_calls")


async def test_usage_tells_that_the_answer_ended_in_calls():
    called, spoken = Usage(finish_reason="stop"), Usage(finish_reason="stop")

    await lift([chunk(CALL), chunk(finish="stop")], usage=called)
    await lift([chunk("Hello"), chunk(finish="stop")], usage=spoken)

    assert (called.finish_reason, spoken.finish_reason) == ("tool_calls", "stop")


async def test_closing_the_lifted_stream_closes_the_engines():
    closed = []

    async def feed():
        try:
            while True:
                yield chunk("word ")
        finally:
            closed.append(True)

    events = lift_tool_calls(feed(), ToolUse(NAMES), Usage())
    await anext(events)
    await events.aclose()

    assert closed == [True]


def test_every_call_has_an_index_and_an_id_of_its_own():
    calls = parse_tool_calls(f"{CALL}\n{CALL}", NAMES)

    assert [call["index"] for call in calls] == [0, 1]
    assert len({call["id"] for call in calls}) == 2


def function(name, parameters=None):
    described = {"name": name} | ({} if parameters is None else {"parameters": parameters})
    return {"type": "function", "function": described}


CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [function("get_weather", CITY), function("get_time"), function("order", ITEM)]


def named(name):
    return {"type": "function", "function": {"name": name}}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tools": None},
        {"tools": [], "tool_choice": "auto"},
        {"tools": TOOLS, "tool_choice": "none"},
    ],
)
def test_model_sees_no_tools_where_none_may_be_called(body):
    assert tool_use(body) is None


@pytest.mark.parametrize("choice", [None, "auto"])
def test_free_choice_puts_no_schema_on_the_answer(choice):
    use = tool_use({"tools": TOOLS, "tool_choice": choice})

    assert use == ToolUse(frozenset({"get_weather", "get_time", "order"}))


def test_parallel_calls_can_be_turned_off():
    assert not tool_use({"tools": TOOLS, "parallel_tool_calls": False}).parallel


def accepts(schema, value):
    return jsonschema.Draft202012Validator(schema).is_valid(value)


PARIS = {"name": "get_weather", "arguments": {"city": "Paris"}}
NOW = {"name": "get_time", "arguments": {}}


def test_required_call_must_be_one_or_more_of_the_tools():
    schema = tool_use({"tools": TOOLS, "tool_choice": "required"}).schema

    assert accepts(schema, [PARIS])
    assert accepts(schema, [PARIS, NOW])
    assert not accepts(schema, [])
    assert not accepts(schema, [{"name": "rm", "arguments": {}}])
    assert not accepts(schema, [{"name": "get_weather", "arguments": {}}])
    assert not accepts(schema, PARIS)


def test_required_call_is_a_single_one_where_parallel_calls_are_off():
    body = {"tools": TOOLS, "tool_choice": "required", "parallel_tool_calls": False}

    schema = tool_use(body).schema

    assert accepts(schema, PARIS)
    assert not accepts(schema, [PARIS])


def test_named_function_is_the_only_one_that_fits():
    use = tool_use({"tools": TOOLS, "tool_choice": named("get_time")})

    assert (use.names, use.parallel) == (frozenset({"get_time"}), False)
    assert accepts(use.schema, NOW)
    assert not accepts(use.schema, PARIS)


@pytest.mark.parametrize("choice", ["required", named("order")])
def test_references_inside_a_tools_parameters_still_lead_to_their_target(choice):
    schema = tool_use({"tools": TOOLS, "tool_choice": choice, "parallel_tool_calls": False}).schema
    nested = {"sku": "A1", "next": {"item": {"sku": "A1"}}}

    assert accepts(schema, {"name": "order", "arguments": {"item": nested}})
    assert not accepts(schema, {"name": "order", "arguments": {"item": {"sku": "Z9"}}})
    assert not accepts(
        schema, {"name": "order", "arguments": {"item": {"next": {"item": {"sku": "Z9"}}}}}
    )


def test_tools_of_the_request_are_not_changed():
    before = json.dumps(TOOLS)

    tool_use({"tools": TOOLS, "tool_choice": "required"})

    assert json.dumps(TOOLS) == before
