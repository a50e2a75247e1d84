"""Whatever arrives, what is passed on obeys the standard."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from epochly.inference.context import RequestContext, TraceContext
from epochly.inference.context.trace import MAX_STATE_LENGTH, parse_state

PARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[0-3]")
MEMBER = re.compile(r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~]")

HEX = "0123456789abcdef"
VALID_PARENTS = st.builds(
    "-".join,
    st.tuples(
        st.text(HEX, min_size=2, max_size=2).filter(lambda version: version != "ff"),
        st.text(HEX, min_size=32, max_size=32).filter(lambda digits: digits.strip("0")),
        st.text(HEX, min_size=16, max_size=16).filter(lambda digits: digits.strip("0")),
        st.text(HEX, min_size=2, max_size=2),
    ),
)
NEARLY_PARENTS = st.one_of(
    st.text(),
    st.text(HEX + "-", max_size=60),
    st.builds(
        lambda parent, at, char: parent[:at] + char + parent[at + 1 :],
        VALID_PARENTS,
        st.integers(0, 54),
        st.characters(),
    ),
)
MEMBERS = st.from_regex(MEMBER, fullmatch=True)


@given(VALID_PARENTS)
def test_a_valid_parent_goes_through_unchanged_but_for_version_and_unknown_flags(parent):
    found = TraceContext.parse(parent)

    assert found.traceparent[3:52] == parent[3:52]
    assert int(found.traceparent[53:], 16) == int(parent[53:], 16) & 3


@given(NEARLY_PARENTS, st.text())
@example("00-" + "0" * 32 + "-" + "1" * 16 + "-00", "")
def test_whatever_arrives_what_leaves_is_valid(parent, state):
    request = RequestContext.from_headers({"traceparent": parent, "tracestate": state})
    headers = request.headers()

    assert PARENT.fullmatch(headers["traceparent"])
    assert headers["traceparent"][3:35] == request.trace_id
    assert headers.get("tracestate", "x=1").isascii()


@given(st.lists(MEMBERS, max_size=40), st.sampled_from([",", " , ", ",,", "\t,"]))
def test_a_state_keeps_order_and_whole_entries(members, comma):
    kept = parse_state(comma.join(members))
    entries = kept.split(",") if kept else []

    remaining = iter(members)
    assert all(entry in remaining for entry in entries)  # a subsequence
    assert len(kept) <= MAX_STATE_LENGTH
    assert len({entry.partition("=")[0] for entry in entries}) == len(entries)


@given(st.text())
def test_reading_a_state_again_changes_nothing(text):
    assert parse_state(parse_state(text)) == parse_state(text)
