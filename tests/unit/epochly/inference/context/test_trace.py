"""The standard's own rules and examples; the names in brackets are those of its test suite."""

import pytest

from epochly.inference.context.trace import (
    MAX_STATE_LENGTH,
    RANDOM,
    SAMPLED,
    TraceContext,
    parse_state,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def zeros_then(*values: bytes):
    """A source of bytes that gives zeros first."""
    drawn = iter(values)
    return lambda size: next(drawn)


def test_the_standard_s_example_is_read():
    assert TraceContext.parse(PARENT, "congo=t61rcWkgMzE") == TraceContext(
        TRACE, SPAN, SAMPLED, "congo=t61rcWkgMzE"
    )


@pytest.mark.parametrize(
    ("parent", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-02", False),
        (f"00-{TRACE}-{SPAN}-ff", True),
        (f" \t{PARENT}\t ", True),
        (f"cc-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", True),
        (f"01-{TRACE}-{SPAN}-01-", True),
        (f"fe-{TRACE}-{SPAN}-00", False),
    ],
)
def test_what_the_standard_accepts(parent, sampled):
    found = TraceContext.parse(parent)

    assert (found.trace_id, found.span_id, found.is_sampled) == (TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-001",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-01-what-the-future-will-be-like",
        f"cc-{TRACE}-{SPAN}-01.what-the-future-will-not-be-like",
        f"ff-{TRACE}-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"000-{TRACE}-{SPAN}-01",
        f".0-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN.upper()}-01",
        f"00-{TRACE}-{SPAN}-0A",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}0-{SPAN}-01",
        f"00-{TRACE}-{SPAN}0-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-.0",
        f"{PARENT},{PARENT}",
    ],
)
def test_what_the_standard_ignores(parent):
    assert TraceContext.parse(parent) is None


def test_only_known_flags_are_passed_on():
    assert TraceContext.parse(f"00-{TRACE}-{SPAN}-ff").flags == SAMPLED | RANDOM


def test_a_higher_version_is_answered_with_ours():
    assert TraceContext.parse(f"cc-{TRACE}-{SPAN}-01-more").traceparent == PARENT


@pytest.mark.parametrize("name", ["traceparent", "TraceParent", "TRACEPARENT"])
def test_header_names_count_in_any_case(name):
    headers = {name: PARENT, "TraceState": "a=1"}

    found = TraceContext.from_headers(headers)

    assert (found.trace_id, found.state) == (TRACE, "a=1")


def test_two_parents_are_none():
    assert TraceContext.from_headers([("traceparent", PARENT), ("Traceparent", PARENT)]) is None
    assert TraceContext.from_headers([("tracestate", "a=1")]) is None


def test_several_states_are_one_list():
    headers = [("traceparent", PARENT), ("tracestate", "a=1,"), ("x", "y"), ("tracestate", "b=2")]

    assert TraceContext.from_headers(headers).state == "a=1,b=2"


def test_a_wrong_state_leaves_the_parent_alone():
    assert TraceContext.parse(PARENT, "A=1") == TraceContext(TRACE, SPAN, SAMPLED, "")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", ""),
        (" , \t,", ""),
        ("foo=1 \t , \t bar=2, \t baz=3", "foo=1,bar=2,baz=3"),
        ("foo=1,\tbar=2 ,", "foo=1,bar=2"),
        ("foo=  1", "foo=  1"),
        ("1a-*/@_=x", "1a-*/@_=x"),
        ("foo=1,foo=2", "foo=1"),
        ("foo=1,bar=2,foo=3", "foo=1,bar=2"),
        ("a" * 256 + "=1", "a" * 256 + "=1"),
        ("a=" + "1" * 256, "a=" + "1" * 256),
        ("a=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~", "a=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~"),
    ],
)
def test_what_a_state_may_hold(text, kept):
    assert parse_state(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "foo",
        "foo=",
        "=1",
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "@foo=1,bar=2",
        "_foo=1",
        "foo=bar=baz",
        "foo=,bar=3",
        "foo=1\x00",
        "foo=é",
        "a" * 257 + "=1",
        "a=" + "1" * 257,
    ],
)
def test_one_wrong_entry_spoils_the_state(text):
    assert parse_state(f"ok=1,{text}") == ""


def test_a_state_has_at_most_32_entries():
    entries = [f"bar{number:02}={number:02}" for number in range(1, 34)]

    assert parse_state(",".join(entries[:32])) == ",".join(entries[:32])
    assert parse_state(",".join(entries)) == ""


def test_a_long_state_loses_its_long_entries_first_and_then_the_last():
    long = "long=" + "x" * 200
    short = [f"key{number}={'y' * 94}" for number in range(6)]

    kept = parse_state(",".join([short[0], long, *short[1:]]))

    assert kept == ",".join(short[:5])
    assert len(kept) <= MAX_STATE_LENGTH
    assert parse_state(",".join([short[0], long])) == f"{short[0]},{long}"


def test_a_trace_of_our_own_has_random_ids():
    draw = zeros_then(bytes(16), b"\x01" * 16, bytes(8), b"\x02" * 8)

    started = TraceContext.start(random_bytes=draw)

    assert started == TraceContext("01" * 16, "02" * 8, RANDOM)
    assert TraceContext.start(sampled=True).flags == RANDOM | SAMPLED
    assert TraceContext.start() != TraceContext.start()


def test_a_child_stays_in_the_trace():
    parent = TraceContext.parse(f"00-{TRACE}-{SPAN}-03", "a=1")

    child = parent.child(random_bytes=zeros_then(b"\x07" * 8))

    assert child.headers() == {"traceparent": f"00-{TRACE}-{'07' * 8}-03", "tracestate": "a=1"}


def test_an_empty_state_is_not_sent():
    assert TraceContext.parse(PARENT).headers() == {"traceparent": PARENT}


def test_a_position_has_no_flags_and_no_state_unless_told():
    trace = TraceContext("a" * 32, "b" * 16)

    assert trace.headers() == {"traceparent": f"00-{'a' * 32}-{'b' * 16}-00"}
    assert TraceContext.parse(trace.traceparent) == trace
