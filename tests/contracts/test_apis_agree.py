"""The API answers any sequence of requests alike, whichever database is below it."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp

from octomil.control.app import build_app
from octomil.control.plane import ControlPlane
from octomil.control.scopes import ALL_SCOPES, INSTALLATION
from support.control import API, WallClock, bearer, control_plane, key_of
from support.postgres import fresh_database

BOX = st.sampled_from(["box-1", "box-2", "Box-3", "böx"])
TAG = st.sampled_from(["a", "b"])
SCOPES = st.sampled_from(["*", "devices:read", "devices:write", "keys:write", "nonsense"])

_ID = re.compile(r"\b(dev|key|obt)_[0-9a-f]{31}\b")
_SECRET = re.compile(r"\b(edg|obt|odr|oda)_[\w.-]{6,}|\b[0-9a-f]{32,64}\b")
_CURSOR = re.compile(r'"next_cursor":"[^"]+"')
_runs = count()

Call = tuple[str, str, dict[str, Any] | None]  # method, path (`DEVICE` stands for an id), body


def call(method: str, path: str, **body: st.SearchStrategy[Any]) -> st.SearchStrategy[Call]:
    return st.tuples(st.just(method), st.just(path), st.fixed_dictionaries(body))


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


@settings(max_examples=25, deadline=None)
@given(st.lists(CALLS, max_size=12))
def test_any_sequence_of_requests_is_answered_alike(
    planes: list[tuple[ControlPlane, ASGIApp]], calls: list[Call]
):
    organisation = f"org-{next(_runs)}"

    first, second = (asyncio.run(answers(*each, organisation, calls)) for each in planes)

    assert first == second


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
        ids = {"DEVICE": "dev_none", "KEY": "key_none"}
        for method, path, body in calls:
            plane.clock.advance(seconds=1)  # so that ids sort by when they were made
            url = API + path.replace("DEVICE", ids["DEVICE"]).replace("KEY", ids["KEY"])
            sent = {} if method == "GET" else {"json": body}
            answer = await client.request(method, url, headers=headers, **sent)
            told.append((answer.status_code, neutral(answer.text, names)))
            ids |= made(answer)
    return told


def made(answer: httpx.Response) -> dict[str, str]:
    """The id that a call made, for those that follow."""
    body = answer.json()
    found = body.get("device_id") or body.get("id") or ""
    word = {"dev": "DEVICE", "key": "KEY"}.get(found.partition("_")[0])
    return {word: found} if word else {}


def neutral(text: str, names: dict[str, str]) -> str:
    """A body without what chance decides: ids are numbered, secrets and digests left out."""
    text = _CURSOR.sub('"next_cursor":"…"', text)
    text = _ID.sub(lambda found: names.setdefault(found[0], f"{found[1]}-{len(names)}"), text)
    return _SECRET.sub("…", text)
