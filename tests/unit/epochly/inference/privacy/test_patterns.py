"""The shipped patterns: what each finds, and what it lets alone."""

import pytest

from epochly.inference.privacy import InputRedactor
from epochly.inference.privacy.patterns import BUILTIN, passes_luhn, passes_mod_97

FOUND = {
    "email": ["ann@example.com", "a.b+c@mail.example.co.uk", "jürgen@müller.de", "x@y.xn--p1ai"],
    "phone": ["+49 30 1234567", "+14155550123", "(555) 123-4567", "555-123-4567"],
    "card": [
        "4111111111111111",
        "4111 1111 1111 1111",
        "5500-0000-0000-0004",
        "378282246310005",
        "3782 822463 10005",
        "4111\u00a01111\u00a01111\u00a01111",
        "6304 0000 0000 0000 000",
    ],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "no9386011117947"],
    "ssn": ["123-45-6789", "123 45 6789"],
    "ipv4": ["10.0.0.1", "255.255.255.255"],
    "ipv6": ["::1", "fe80::1", "2001:db8::", "2001:db8:0:0:0:0:2:1", "::ffff:192.0.2.1"],
    "api_key": [
        "sk-proj-abcdefghijklmnopqrst",
        "AKIA" + "IOSFODNN7EXAMPLE",
        "AIza" + "x" * 35,
        "ghp_" + "a1" * 18,
        "github_pat_" + "a" * 22,
        "glpat-" + "a" * 20,
        "hf_" + "a" * 30,
        "xoxb-" + "1234567890",
        "sk_live_" + "a" * 16,
        "npm_" + "a" * 36,
        "pypi-" + "a" * 50,
        "edg_" + "a" * 16,
    ],
    "private_key": [
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\ncut off",
    ],
    "jwt": ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn"],
}

LEFT = {
    "email": ["ann at example", "@example.com", "a@b", "x@y.1"],
    "phone": ["12345678", "2026-11-21", "1,234,567"],
    "card": ["4111111111111112", "1234567890123456789012", "0000 0000 0000 0000", "4111 1111"],
    "iban": ["DE89 3704 0044 0532 0130 01", "ZZ89370400440532013000", "DE89 3704"],
    "ssn": [
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "123-00-4567",
        "123-45-0000",
        "123-45 6789",
    ],
    "ipv4": [
        "256.1.1.1",
        "1.2.3",
        "1.2.3.",
        "1.2.3.4.5",
        "v1.2.3.4",
        "v1.2.3.4.5",
        "1.2.3.4.5rc1",
        "1.2.3.4.5.6.7.8",
        "01.2.3.4",
    ],
    "ipv6": ["12:34:56", "std::vector", "::", "a:b", "1:2:3:4:5:6:7:8:9", "g::1g"],
    "api_key": ["sk-short", "AKIAshort", "task-abcdefghijklmnopqrstuv"],
    "private_key": ["-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----"],
    "jwt": ["eyJhbGciOiJIUzI1NiJ9", "eyJ.a.b", "a.b.c"],
}


def cases(table: dict[str, list[str]]) -> list:
    return [
        pytest.param(name, text, id=f"{name}:{text[:24]}") for name in table for text in table[name]
    ]


def test_every_pattern_has_cases():
    assert set(FOUND) == set(LEFT) == set(BUILTIN)


@pytest.mark.parametrize(("name", "text"), cases(FOUND))
def test_it_is_found_whole_in_a_sentence(name: str, text: str):
    redactor = InputRedactor([f"builtin:{name}"])
    is_open = name == "private_key" and "END" not in text
    tail = "" if is_open else " ok."

    assert redactor.redact(f"it is {text}{tail}") == f"it is [REDACTED]{tail}"


@pytest.mark.parametrize(("name", "text"), cases(LEFT))
def test_it_is_left_alone(name: str, text: str):
    assert InputRedactor([f"builtin:{name}"]).redact(f"it is {text} ok") == f"it is {text} ok"


@pytest.mark.parametrize(
    ("name", "text", "redacted"),
    [
        ("card", "4111 1111 1111 1111 1226", "# 1226"),
        ("card", "1234 4111 1111 1111 1111", "1234 #"),
        ("iban", "DE89 3704 0044 0532 0130 00 AND MORE", "# AND MORE"),
        ("iban", "AB12 CD34 GB82 WEST 1234 5698 7654 32", "AB12 CD34 #"),
        ("ipv4", "from 10.0.0.1. Next", "from #. Next"),
        ("ipv4", "http://10.0.0.1:8080/a", "http://#:8080/a"),
        ("ipv4", "10.0.0.1-10.0.0.9, 10.0.0.0/24", "#-#, #/24"),
        ("ipv4", "host.10.0.0.1.example.com", "host.#.example.com"),
        ("ipv6", "peer:fe80::1.", "peer:#."),
        ("ipv6", "[2001:db8::1]:8080", "[#]:8080"),
        ("ipv6", "at ::ffff:10.0.0.1, x:1", "at #, x:1"),
        ("ipv6", "fe80::1: down", "#: down"),
        ("jwt", "eyJhbGc.eyJzdWI.c2ln. Next", "#. Next"),
    ],
)
def test_what_stands_around_it_stays(name: str, text: str, redacted: str):
    assert InputRedactor([f"builtin:{name}"], "#").redact(text) == redacted


def test_check_digits():
    # The examples of ISO/IEC 7812-1 and of the IBAN registry.
    assert passes_luhn(b"49927398716")
    assert not passes_luhn(b"49927398717")
    assert passes_mod_97("GB82WEST12345698765432")
    assert not passes_mod_97("GB82WEST12345698765431")


def test_all_shipped_patterns_fit_in_one_search():
    assert InputRedactor(["builtin:all"])._any is not None


@pytest.mark.parametrize("escape", ["\\n", "\\t", '\\"', "\\u000a", "\\x0a", "\\\\n", "\\\\\\n"])
@pytest.mark.parametrize("name", FOUND)
def test_it_is_found_between_the_escapes_of_json_and_programs(name: str, escape: str):
    secret = FOUND[name][0]

    redacted = InputRedactor([f"builtin:{name}"]).redact(f'"is{escape}{secret}{escape}so"')

    assert secret not in redacted
    assert redacted.startswith('"is\\')  # an address of mail may begin with the escape's letter
    assert redacted.endswith(f'[REDACTED]{escape}so"')
