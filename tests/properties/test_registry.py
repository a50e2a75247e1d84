"""The registry's rules, on versions, lifecycles, graphs and manifests of all kinds."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octomil.registry.lifecycle import (
    TRANSITIONS,
    TransitionError,
    VersionState,
    follow,
    state_of_files,
)
from octomil.registry.lineage import cycle_closed_by, path_between, reachable
from octomil.registry.manifest import Manifest, ManifestFile, ManifestParent, digest_of, hex_of
from octomil.registry.messages import MessageError, new_secret, signed_headers, verify
from octomil.registry.semver import MAX_LENGTH, SemVer

# The pattern that the standard itself suggests.
STANDARD = re.compile(
    r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
    r"(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$",
    re.ASCII,
)

plain_numbers = st.integers(0, 10**6).map(str)
identifiers = plain_numbers | st.from_regex(r"[0-9]{0,2}[A-Za-z-][0-9A-Za-z-]{0,4}", fullmatch=True)
versions = st.builds(
    lambda core, pre, build: (
        ".".join(core) + ("-" + ".".join(pre) if pre else "") + ("+" + build if build else "")
    ),
    st.tuples(plain_numbers, plain_numbers, plain_numbers),
    st.lists(identifiers, max_size=3),
    st.just("") | st.from_regex(r"[0-9A-Za-z-]{1,4}", fullmatch=True),
).filter(lambda text: len(text) <= MAX_LENGTH)
digests = st.binary(min_size=32, max_size=32).map(lambda data: "sha256:" + data.hex())
# Edges lead from later nodes to earlier ones, so there is no cycle.
graphs = st.lists(st.lists(st.integers(0, 30), max_size=3), min_size=1, max_size=30).map(
    lambda rows: {
        str(node): sorted({str(each % node) for each in row}) if node else []
        for node, row in enumerate(rows)
    }
)


def precedence(text: str) -> tuple:
    """A key that says what the standard says in its eleventh paragraph, word by word."""
    core, _, pre = text.partition("+")[0].partition("-")
    numbers = tuple(map(int, core.split(".")))
    if not pre:
        return (*numbers, 1, ())
    ordered = tuple(
        (0, int(each), "") if each.isdigit() else (1, 0, each) for each in pre.split(".")
    )
    return (*numbers, 0, ordered)


@given(versions)
def test_a_version_is_read_and_written_back(text: str):
    assert str(SemVer.parse(text)) == text
    assert STANDARD.match(text)
    assert SemVer.parse(text).is_prerelease == ("-" in text.partition("+")[0])


@given(st.text(st.sampled_from("0123456789.-+aZ \n"), max_size=12) | st.text(max_size=8))
def test_a_text_is_a_version_here_if_it_is_one_by_the_standard(text: str):
    is_one = STANDARD.fullmatch(text) is not None and "\n" not in text
    if is_one:
        assert str(SemVer.parse(text)) == text
    else:
        with pytest.raises(ValueError, match="no semantic version"):
            SemVer.parse(text)


@given(versions, versions)
def test_versions_order_as_the_standard_has_it(first: str, second: str):
    one, other = SemVer.parse(first), SemVer.parse(second)
    if precedence(first) != precedence(second):
        assert (one < other) == (precedence(first) < precedence(second))
        assert (one.sort_key < other.sort_key) == (precedence(first) < precedence(second))
    else:
        assert (one == other) == (one.sort_key == other.sort_key) == (first == second)


def test_the_standards_own_example_is_in_order():
    texts = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
             "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1-0", "1.9.0", "1.10.0"]  # fmt: skip

    assert sorted(sorted(texts), key=SemVer.parse) == texts


@given(st.lists(st.sampled_from(VersionState), max_size=12))
def test_whatever_is_tried_a_frozen_version_is_never_open_again(wishes: list[VersionState]):
    state, was_frozen = VersionState.DRAFT, False
    for wish in wishes:
        before = state
        try:
            state = follow(state, wish)
        except TransitionError:
            assert wish not in TRANSITIONS[state]
        was_frozen = was_frozen or state.is_frozen
        assert state.is_frozen == was_frozen
        if before is not state is VersionState.PUBLISHED:
            assert before is VersionState.READY


@given(st.sets(st.sampled_from("abcd")), st.sets(st.sampled_from("abcd")))
def test_a_version_is_ready_once_it_has_files_and_all_that_were_wanted(there: set, wanted: set):
    state = state_of_files(there, wanted)

    assert (state is VersionState.CONVERTING) == bool(wanted - there)
    assert (state is VersionState.READY) == (bool(there) and wanted <= there)
    assert (state is VersionState.DRAFT) == (not there and not wanted)


@given(graphs, st.data())
def test_what_is_reachable_is_told_once_and_nearest_first(graph: dict, data: st.DataObject):
    start = data.draw(st.sampled_from(sorted(graph)))

    found = reachable(start, graph)

    ways = [path_between(start, node, graph) for node in found]
    assert len(set(found)) == len(found)
    assert start not in found
    assert [len(way) for way in ways] == sorted(len(way) for way in ways)
    assert {node for node in graph if path_between(start, node, graph)} == {*found, start}


@given(graphs, st.data())
def test_a_cycle_is_found_if_and_only_if_there_would_be_one(graph: dict, data: st.DataObject):
    nodes = sorted(graph)
    node = data.draw(st.sampled_from(nodes))
    parents = data.draw(st.lists(st.sampled_from(nodes), max_size=3, unique=True))

    cycle = cycle_closed_by(node, parents, graph)

    changed = {**graph, node: parents}
    if cycle is None:
        assert all(path_between(parent, node, changed) is None for parent in parents)
    else:
        assert cycle[0] == cycle[-1] == node
        assert all(later in changed[each] for each, later in pairwise(cycle))


manifests = st.builds(
    Manifest,
    name=st.text(st.characters(codec="utf-8")),
    version=versions,
    files=st.dictionaries(
        st.sampled_from(["onnx", "pytorch", "coreml"]),
        st.builds(ManifestFile, digest=digests, size=st.integers(0, 2**53)),
    ),
    lineage=st.lists(
        st.builds(ManifestParent, name=st.text(max_size=5), version=versions, digest=digests),
        max_size=3,
    ).map(tuple),
    created=st.just("2026-11-21T12:00:00+00:00"),
)


@given(manifests)
def test_a_manifest_has_one_form_and_is_read_back(manifest: Manifest):
    payload = manifest.payload()

    assert payload.isascii()
    assert Manifest.parse(payload) == manifest
    assert len(hex_of(digest_of(payload))) == 64


@given(manifests, st.data())
def test_any_other_form_of_a_manifest_is_refused(manifest: Manifest, data: st.DataObject):
    payload = manifest.payload()
    place = data.draw(st.integers(0, len(payload)))
    changed = payload[:place] + data.draw(st.sampled_from([b" ", b"\n", b"}"])) + payload[place:]

    try:
        other = Manifest.parse(changed)
    except ValueError:
        return
    assert other != manifest
    assert digest_of(changed) != digest_of(payload)


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"name":1}'])
def test_what_is_no_manifest_is_refused(payload: bytes):
    with pytest.raises(ValueError, match="no manifest"):
        Manifest.parse(payload)


@pytest.mark.parametrize("digest", ["", "sha256:", "a" * 63, "g" * 64, "sha512:" + "a" * 64])
def test_what_is_no_digest_is_refused(digest: str):
    with pytest.raises(ValueError, match="SHA-256"):
        hex_of(digest)


@given(st.binary(max_size=64), st.integers(0, 2**40), st.just(None) | st.text("abc", min_size=1))
def test_a_message_is_taken_from_who_signed_it_alone(body: bytes, now_s: int, given_secret):
    secret = given_secret or new_secret()
    headers = signed_headers(secret, "evt_1", now_s, body)

    assert verify(secret, headers, body, now_s=now_s) == "evt_1"
    for other_headers, other_body, other_secret, other_now in [
        ({**headers, "webhook-id": "evt_2"}, body, secret, now_s),
        ({**headers, "webhook-timestamp": str(now_s + 1)}, body, secret, now_s),
        ({**headers, "webhook-timestamp": "x"}, body, secret, now_s),
        ({**headers, "webhook-signature": "v1,é"}, body, secret, now_s),
        ({}, body, secret, now_s),
        (headers, body + b"x", secret, now_s),
        (headers, body, new_secret(), now_s),
        (headers, body, secret, now_s + 301),
        (headers, body, secret, now_s - 301),
    ]:
        with pytest.raises(MessageError):
            verify(other_secret, other_headers, other_body, now_s=other_now)
