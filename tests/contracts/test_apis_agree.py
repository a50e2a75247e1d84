"""The API answers any sequence of requests alike, whichever database is below it."""

import asyncio
import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import count
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import ASGIApp

from octomil.control.app import build_app
from octomil.control.plane import ControlPlane
from octomil.control.scopes import ALL_SCOPES, INSTALLATION
from support.control import API, WallClock, bearer, control_plane, key_of
from support.exploring import examples
from support.model_files import onnx_file
from support.postgres import fresh_database

BOX = st.sampled_from(["box-1", "box-2", "Box-3", "böx"])
TAG = st.sampled_from(["a", "b"])
SCOPES = st.sampled_from(["*", "devices:read", "devices:write", "keys:write", "nonsense"])

_ID = re.compile(r"\b(dev|key|obt|mdl|ver|upl)_[0-9a-f]{31}\b")
_SECRET = re.compile(r"\b(edg|obt|odr|oda)_[\w.-]{6,}|\b[0-9a-f]{32,64}\b")
_CURSOR = re.compile(r'"next_cursor":"[^"]+"')
_runs = count()
_KINDS = {"dev": "DEVICE", "key": "KEY", "mdl": "MODEL", "upl": "UPLOAD"}
_WORD = re.compile("|".join(_KINDS.values()))

Call = tuple[str, str, dict[str, Any]]
"""Method, path (`DEVICE` stands for an id), body; or headers and content of what is no JSON."""


def call(method: str, path: str, **body: st.SearchStrategy[Any]) -> st.SearchStrategy[Call]:
    return st.tuples(st.just(method), st.just(path), st.fixed_dictionaries(body))


def asked(method: str, path: str, content: bytes = b"", **headers: str) -> Call:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return method, path, {"headers": named, "content": content}


LABELS = st.dictionaries(TAG, TAG | st.none(), max_size=2)
GROUPS = st.lists(TAG, max_size=2)
CALLS = st.one_of(
    call("POST", "/devices/register", device_identifier=BOX, platform=TAG),
    call("POST", "/device-auth/bootstrap", device_identifier=BOX),
    call("PATCH", "/devices/DEVICE", labels=LABELS, groups=GROUPS),
    call("DELETE", "/devices/DEVICE"),
    call("POST", "/devices/DEVICE/revoke"),
    call("GET", "/devices/DEVICE"),
    call("GET", "/devices?limit=2"),
    call("GET", "/devices?limit=1&label=a=b"),
    call("GET", "/devices?group=a&text=b"),
    call("GET", "/devices?text=B"),
    call("POST", "/keys", name=TAG, scopes=st.lists(SCOPES, max_size=2)),
    call("POST", "/keys/KEY/rotate", grace_seconds=st.sampled_from([0, 60])),
    call("POST", "/keys/KEY/revoke"),
    call("GET", "/keys"),
    call("POST", "/device-auth/bootstrap-tokens", name=TAG, labels=st.just({"a": "b"})),
    call("GET", "/device-auth/bootstrap-tokens"),
    call("GET", "/audit?limit=3"),
    call("GET", "/audit/verify"),
)


FILE = onnx_file()
DIGEST = hashlib.sha256(FILE).hexdigest()
KEPT = st.just(f"sha256:{DIGEST}")
NUMBER = st.sampled_from(["1.0.0", "1.1.0"])
BEGUN: Call = ("POST", "/uploads", {"size_bytes": len(FILE), "name": "m.onnx"})
DONE: Call = ("POST", "/uploads/UPLOAD/complete", {"sha256": DIGEST})
FIRST, REST = (
    asked("PATCH", "/uploads/UPLOAD", FILE[begin:end], upload_offset=str(begin))
    for begin, end in ((0, 9), (9, len(FILE)))
)
FILE_CALLS = st.one_of(
    # What leads anywhere comes as one as well, or hardly a sequence would get far.
    st.just([BEGUN, FIRST, REST, DONE]),
    st.tuples(
        call("POST", "/models", name=TAG),
        call("POST", "/models/MODEL/versions", version=NUMBER, storage_path=KEPT),
    ).map(list),
    st.one_of(
        st.just(BEGUN), st.just(FIRST), st.just(REST), st.just(DONE),
        call("POST", "/uploads", size_bytes=st.sampled_from([0, 1, 1 << 40])),
        call("POST", "/uploads/UPLOAD/complete", sha256=st.just("0" * 64)),
        call("POST", "/uploads/UPLOAD/complete", sha256=st.just(DIGEST),
             format=st.just("onnx_data")),
        call("GET", "/uploads/UPLOAD"),
        call("DELETE", "/uploads/UPLOAD"),
        call("POST", "/models/MODEL/versions/1.0.0/files",
             storage_path=KEPT, format=st.sampled_from(["onnx", "onnx_data", "tflite"])),
        call("GET", "/models/MODEL/versions"),
        call("DELETE", "/models/MODEL/versions/1.0.0"),
        call("DELETE", "/models/MODEL"),
    ).map(lambda each: [each]),
    st.sampled_from([
        asked("GET", "/models/MODEL/versions/1.0.0/download"),
        asked("HEAD", "/models/MODEL/versions/1.0.0/download"),
        asked("GET", "/models/MODEL/versions/1.0.0/download?format=onnx_data"),
        asked("GET", "/models/MODEL/versions/1.1.0/download?format=onnx", range="bytes=3-8"),
        asked("GET", "/models/MODEL/versions/1.1.0/download", range="bytes=9999-"),
        asked("GET", "/models/MODEL/versions/1.0.0/download", if_none_match=f'"{DIGEST}"'),
    ]).map(lambda each: [each]),
)  # fmt: skip
_SHOWN = ("etag", "content-length", "content-range", "repr-digest", "upload-offset", "retry-after")


@pytest.fixture(scope="module")
def planes(
    postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[tuple[ControlPlane, ASGIApp]]]:
    with ExitStack() as stack:
        url = stack.enter_context(fresh_database(postgres))
        folders = [tmp_path_factory.mktemp(name) for name in ("lite", "pg")]
        planes = [
            stack.enter_context(control_plane(folders[0])),
            stack.enter_context(control_plane(folders[1], database_url=url)),
        ]
        yield [(plane, build_app(plane)) for plane in planes]


@examples(25)
@given(st.lists(CALLS, max_size=12))
def test_any_sequence_of_requests_is_answered_alike(
    planes: list[tuple[ControlPlane, ASGIApp]], calls: list[Call]
):
    organisation = f"org-{next(_runs)}"

    first, second = (asyncio.run(answers(*each, organisation, calls)) for each in planes)

    assert first == second


@examples(10)
@given(st.lists(FILE_CALLS, max_size=10))
def test_any_sequence_of_uploads_and_downloads_is_answered_alike(
    planes: list[tuple[ControlPlane, ASGIApp]], steps: list[list[Call]]
):
    organisation, calls = f"org-{next(_runs)}", [call for step in steps for call in step]

    first, second = (asyncio.run(answers(*each, organisation, calls)) for each in planes)

    assert first == second


async def test_files_do_get_through_in_such_a_sequence(
    planes: list[tuple[ControlPlane, ASGIApp]],
):
    """Else refusals alone would be compared."""
    creation = {"version": "1.0.0", "storage_path": f"sha256:{DIGEST}"}
    calls = [
        BEGUN, FIRST, REST, DONE, ("POST", "/models", {"name": "a"}),
        ("POST", "/models/MODEL/versions", creation),
        asked("GET", "/models/MODEL/versions/1.0.0/download", range="bytes=3-8"),
    ]  # fmt: skip

    for plane, app in planes:
        told = await answers(plane, app, f"org-{next(_runs)}", calls)
        assert [status for status, *_ in told] == [201, 200, 200, 200, 201, 201, 206]
        assert told[-1][1].encode() == FILE[3:9]


async def answers(
    plane: ControlPlane, app: ASGIApp, organisation: str, calls: list[Call]
) -> list[Any]:
    """What each call is answered, with every id in the order of its appearance."""
    assert isinstance(plane.clock, WallClock)
    plane.clock.now = WallClock().now
    names: dict[str, str] = {}
    headers = bearer(key_of(plane, organisation, ALL_SCOPES, INSTALLATION))
    told = []
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://control") as client:
        ids = {name: f"{kind}_none" for kind, name in _KINDS.items()}
        for method, path, body in calls:
            plane.clock.advance(seconds=1)  # so that ids sort by when they were made
            url = API + filled(path, ids)
            more = body if "content" in body else {} if method == "GET" else {"json": body}
            sent = {**more, "headers": headers | more.get("headers", {})}
            answer = await client.request(method, url, **sent)
            is_of_files = "/uploads" in path or "/download" in path
            shown = [answer.headers.get(name) for name in _SHOWN if is_of_files]
            told.append((answer.status_code, neutral(answer.text, names), shown))
            ids |= made(answer)
    return told


def filled(path: str, ids: Mapping[str, str]) -> str:
    """A path with ids in place of the words that stand for them."""
    return _WORD.sub(lambda found: ids[found[0]], path)


def made(answer: httpx.Response) -> dict[str, str]:
    """The id that a call made, for those that follow."""
    is_json = answer.headers.get("content-type") == "application/json" and answer.content
    body = answer.json() if is_json else {}
    found = body.get("device_id") or body.get("id") or ""
    word = _KINDS.get(found.partition("_")[0])
    return {word: found} if word else {}


def neutral(text: str, names: dict[str, str]) -> str:
    """A body without what chance decides: ids are numbered, secrets and digests left out."""
    text = _CURSOR.sub('"next_cursor":"…"', text)
    text = _ID.sub(lambda found: names.setdefault(found[0], f"{found[1]}-{len(names)}"), text)
    return _SECRET.sub("…", text)
