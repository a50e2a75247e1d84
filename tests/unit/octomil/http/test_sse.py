from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octomil.errors import GenerationError
from octomil.http.sse import DONE, SseFramer, encode_event, event_data

streams = st.lists(
    st.sampled_from([b"data: a", b"data: b", b": ping", b"event: x", b"\n", b"\n\n", b"\r\n", b"x"])
).map(b"".join)


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    """Cut a stream at some places."""
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


@settings(deadline=None)
@given(stream=streams, places=st.lists(st.integers(0, 200), max_size=8))
def test_nothing_is_lost_or_made_up_however_the_stream_is_cut(stream, places):
    framer = SseFramer()

    blocks = [framer.feed(piece) for piece in cut(stream, places)]

    assert b"".join(blocks) + framer.rest == stream
    assert all(block.endswith((b"\n\n", b"\r\n\r\n")) for block in blocks if block)


@settings(deadline=None)
@given(stream=streams, places=st.lists(st.integers(0, 200), max_size=8))
def test_all_that_was_complete_is_out_in_the_end(stream, places):
    framer = SseFramer()

    for piece in cut(stream, places):
        framer.feed(piece)

    assert b"\n\n" not in framer.rest
    assert b"\r\n\r\n" not in framer.rest


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
def test_event_is_held_back_until_its_empty_line(end):
    framer = SseFramer()

    parts = [framer.feed(bytes([byte])) for byte in b"data: 1" + end]

    assert parts[-1] == b"data: 1" + end
    assert not any(parts[:-1])
    assert framer.rest == b""


def test_cut_off_stream_leaves_a_rest():
    framer = SseFramer()

    assert framer.feed(b"data: 1\n\ndata: 2\n") == b"data: 1\n\n"
    assert framer.rest == b"data: 2\n"


@pytest.mark.parametrize(
    ("events", "data"),
    [
        (b"data: a\n\ndata:b\n\n", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b": ping\n\nevent: x\nid: 1\ndata: a\nretry: 5\n\n", [b"a"]),
        (b"data:  two spaces\n\n", [b" two spaces"]),
        (b"data: [DONE]\n\n", [b"[DONE]"]),
        (b"", []),
        (b"\n\n\n\n", []),
    ],
)
def test_only_the_data_of_events_is_read(events, data):
    assert list(event_data(events)) == data


@settings(deadline=None)
@given(st.lists(st.text(alphabet="ab \n{}:").map(str.encode), max_size=4))
def test_what_is_encoded_is_read_back(data):
    assert list(event_data(b"".join(map(encode_event, data)))) == data


def test_the_end_is_openai_s():
    assert encode_event(b"[DONE]") == DONE


@pytest.mark.parametrize("piece", [b"x", b"x" * 7, b"x" * 101])
def test_event_that_never_ends_is_given_up_instead_of_kept(piece):
    framer = SseFramer(max_event_bytes=100)
    whole = b"data: 1\n\n"
    assert framer.feed(whole + b"data: 2") == whole

    with pytest.raises(  # noqa: PT012 - after as many pieces as it takes
        GenerationError, match="more than 100 bytes without ending an event"
    ):
        for _ in range(101):
            framer.feed(piece)

    assert len(framer.rest) <= 100


def test_whole_events_may_be_of_any_size_together():
    framer = SseFramer(max_event_bytes=100)
    events = b"data: 1\n\n" * 100

    assert framer.feed(events + b"data: 2") == events
    assert framer.feed(b"\n\n") == b"data: 2\n\n"
