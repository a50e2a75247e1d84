"""A form means the same however its bytes are cut."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from octomil.control.api.multipart import Event, FormReader, PartBegin, PartData, PartEnd
from octomil.control.api.ranges import span_of
from octomil.errors import BadRequestError, RangeNotSatisfiableError

NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=20)
PARTS = st.lists(st.tuples(NAMES, st.none() | NAMES, st.binary(max_size=200)), max_size=5)


def written(parts: list[tuple[str, str | None, bytes]]) -> bytes:
    out = b""
    for name, filename, content in parts:
        named = "" if filename is None else f'; filename="{filename}"'
        head = f'--limit\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
        out += head.encode() + content + b"\r\n"
    return out + b"--limit--\r\n"


def read(pieces: list[bytes]) -> list[tuple[str, str | None, bytes]]:
    reader = FormReader("multipart/form-data; boundary=limit")
    events: list[Event] = [event for piece in pieces for event in reader.feed(piece)]
    reader.close()
    found: list[tuple[str, str | None, bytes]] = []
    content, is_open = b"", False
    for event in events:
        match event:
            case PartBegin(name, filename):
                assert not is_open
                content, is_open = b"", True
                found.append((name, filename, b""))
            case PartData(data):
                assert is_open
                content += data
            case PartEnd():
                found[-1] = (*found[-1][:2], content)
                is_open = False
    return found


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@given(PARTS, st.lists(st.integers(0, 5000), max_size=40))
def test_a_form_is_read_as_it_was_written(parts, places: list[int]):
    if all(b"--limit" not in content for _, _, content in parts):
        assert read(cut(written(parts), places)) == parts


@given(st.binary(max_size=400), st.lists(st.integers(0, 500), max_size=10))
def test_any_bytes_are_read_or_refused(data: bytes, places: list[int]):
    try:
        read(cut(data, places))
    except BadRequestError:
        return
    assert data.startswith((b"--limit", b"\r\n--limit"))


@given(st.integers(0, 50), st.integers(0, 60), st.integers(0, 60), st.integers(0, 2))
def test_a_range_means_what_slicing_means(size: int, first: int, last: int, form: int):
    content = bytes(range(size))
    header, expected = [
        (f"bytes={first}-{last}", content[first : last + 1] if first <= last else None),
        (f"bytes={first}-", content[first:]),
        (f"bytes=-{last}", content[max(0, size - last) :] if last else b""),
    ][form]
    try:
        span = span_of(header, size)
    except RangeNotSatisfiableError:
        assert expected == b""
        return
    assert (content[slice(*span)] if span else None) == expected
