"""`--audit-content`: what a client wrote is kept without what is secret in it, however it came."""

import json

import pytest

from epochly.inference.privacy.patterns import BUILTIN
from support.nodes import chat, client_of, composed_node

CHAT = "/v1/chat/completions"
MAX_CHARS = 65_536

SECRETS = {
    "email": "ann@example.com",
    "phone": "555-123-4567",
    "card": "4111 1111 1111 1111",
    "iban": "DE89 3704 0044 0532 0130 00",
    "ssn": "078-05-1120",
    "ipv4": "192.168.1.1",
    "ipv6": "fe80::1ff:fe23:4567:890a",
    "api_key": "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "private_key": "-----BEGIN PRIVATE KEY-----\nMIIBVQIB\n-----END PRIVATE KEY-----",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc123DEF456",
}

secrets = pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
before = pytest.mark.parametrize("sign", ["\n", "\t", '"', "\r\n", "\\"], ids=repr)


@pytest.fixture
def kept(tmp_path):
    """What the audit log keeps of one request: its content, and the whole log."""

    async def post(path, body, *, content=None) -> tuple[str, str]:
        folder = tmp_path / "audit"
        async with (
            composed_node("echo", audit_log=folder, audit_content=True) as node,
            client_of(node) as client,
        ):
            sent = {"json": body} if content is None else {"content": content}
            await client.post(path, **sent)  # a request that is refused is kept, too
        text = "".join(path.read_text() for path in folder.glob("*.jsonl"))
        entries = [json.loads(line)["entry"] for line in text.splitlines()]
        *_, last = [entry for entry in entries if entry["operation"] == "request"]
        return last["details"]["content"], text

    return post


def assert_is_hidden(secret: str, content: str, log: str) -> None:
    assert content.count("[REDACTED]") == 1, content
    assert secret not in log
    assert json.dumps(secret)[1:-1] not in content


def with_a_call(arguments: str) -> dict:
    call = {"id": "1", "type": "function", "function": {"name": "pay", "arguments": arguments}}
    return {
        "model": "echo",
        "messages": [
            {"role": "user", "content": "pay"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "1", "content": "paid"},
        ],
    }


def test_every_shipped_pattern_has_a_secret():
    assert SECRETS.keys() == BUILTIN.keys()


@secrets
@before
async def test_secret_at_the_start_of_a_line_is_hidden(kept, secret, sign):
    content, log = await kept(CHAT, chat(f"mine:{sign}{secret}{sign} and so on"))

    assert_is_hidden(secret, content, log)
    assert "mine:" in content
    assert "and so on" in content


@secrets
async def test_secret_that_is_written_in_escapes_is_hidden(kept, secret):
    escaped = "".join(f"\\u{ord(sign):04x}" for sign in f"\n{secret}\n")
    body = '{"model": "echo", "messages": [{"role": "user", "content": "mine:' + escaped + '"}]}'

    assert_is_hidden(secret, *await kept(CHAT, None, content=body.encode()))


@secrets
@before
async def test_secret_in_the_arguments_of_a_call_is_hidden(kept, secret, sign):
    arguments = json.dumps({"note": f"mine:{sign}{secret}{sign} and so on"})

    assert_is_hidden(secret, *await kept(CHAT, with_a_call(arguments)))


@secrets
async def test_secret_in_escapes_in_the_arguments_of_a_call_is_hidden(kept, secret):
    escaped = "".join(f"\\u{ord(sign):04x}" for sign in secret)

    assert_is_hidden(secret, *await kept(CHAT, with_a_call('{"note": "x\\n' + escaped + '"}')))


@secrets
@pytest.mark.parametrize("escape", ["\\n", "\\t", '\\"', "\\u000a"])
async def test_secret_after_an_escape_in_a_pasted_program_is_hidden(kept, secret, escape):
    content, log = await kept(CHAT, chat(f'Why does print("mine:{escape}{secret}{escape}") fail?'))

    assert_is_hidden(secret, content, log)


async def test_secret_that_is_a_number_is_hidden(kept):
    content, log = await kept(CHAT, with_a_call('{"card": 4111111111111111, "amount": 12}'))

    assert_is_hidden("4111111111111111", content, log)
    assert "12" in content


@secrets
async def test_cut_leaves_no_part_of_a_secret(kept, secret):
    """Wherever the cut falls: on the raw text, or on what is left once other secrets are out."""
    parts = [secret[:length] for length in range(len(secret) * 2 // 3, len(secret))]
    for offset in (0, 3, 7):
        text = "x" * offset + f" and {secret}" * (4 * MAX_CHARS // len(secret))
        content, _ = await kept(CHAT, chat(text))
        rest = content.replace("\\n", "\n").replace("[REDACTED]", "")

        assert len(content) <= MAX_CHARS
        assert [part for part in parts if part in rest] == []


async def test_nesting_too_deep_to_follow_does_not_lose_the_record(kept):
    deep = "[" * 700 + '"ann@example.com"' + "]" * 700

    content, log = await kept(CHAT, with_a_call(deep))

    assert "pay" in content
    assert "ann@example.com" not in log


async def test_flood_of_empty_values_is_cut_too(kept):
    content, _ = await kept(CHAT, with_a_call("[" + "[]," * 200_000 + '"harvest"]'))

    assert 50_000 < len(content) <= MAX_CHARS
    assert "harvest" not in content
