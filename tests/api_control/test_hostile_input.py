"""What an attacker with a key sends: nothing of it may stay behind and do harm later."""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from octomil.control.api.json_bodies import MAX_DEPTH
from octomil.control.cursors import cursor_of
from octomil.control.plane import ControlPlane
from octomil.control.services.merging import MAX_CHARS
from support.control import API, client_of, control_plane, key_of
from support.control_routes import ControlRoute, routes_of
from support.model_files import onnx_file
from support.postgres import fresh_database
from support.registry import new_model

Swept = tuple[httpx.AsyncClient, list[ControlRoute]]


def nested(depth: int, opening: str = "[", closing: str = "]") -> str:
    return opening * depth + "1" + closing * depth


async def post_json(client: httpx.AsyncClient, path: str, text: str) -> httpx.Response:
    headers = {"content-type": "application/json"}
    return await client.post(f"{API}{path}", content=text, headers=headers)


@pytest.mark.parametrize("depth", [MAX_DEPTH, 200, 250, 900, 100_000])
@pytest.mark.parametrize("brackets", [("[", "]"), ('{"a":', "}")])
async def test_what_could_be_kept_and_never_shown_is_refused(
    admin: httpx.AsyncClient, depth: int, brackets: tuple[str, str]
):
    """Else one such model would make every list of models fail, for good."""
    body = f'{{"name": "deep", "model_contract": {nested(depth, *brackets)}}}'

    answer = await post_json(admin, "/models", body)

    assert (answer.status_code, answer.json()["error"]) == (400, "bad_request"), answer.text
    assert "nested too deeply" in answer.json()["message"]
    assert (await admin.get(f"{API}/models")).json() == {"models": []}


async def test_what_is_nested_as_deeply_as_is_taken_comes_back(admin: httpx.AsyncClient):
    body = f'{{"name": "deep", "model_contract": {nested(MAX_DEPTH - 1)}, "use_case": "[[[{{{{"}}'

    made = await post_json(admin, "/models", body)

    assert made.status_code == 201, made.text
    (model,) = (await admin.get(f"{API}/models")).json()["models"]
    assert str(model["model_contract"]) == nested(MAX_DEPTH - 1)


async def form_with(
    client: httpx.AsyncClient, model: str, filename: bytes, version: str = "1.0.0"
) -> httpx.Response:
    """A form whose file has a name that no client of ours would send."""
    head = b'Content-Disposition: form-data; name="'
    body = b"\r\n".join(
        [
            b"--B", head + b'version"', b"", version.encode(),
            b"--B", head + b'file"; filename="' + filename + b'"', b"", onnx_file(),
            b"--B--", b"",
        ]
    )  # fmt: skip
    headers = {"content-type": "multipart/form-data; boundary=B"}
    path = f"{API}/models/{model}/versions/upload"
    return await client.post(path, content=body, headers=headers)


@pytest.mark.parametrize(
    ("filename", "kept"),
    [
        (b"../../etc/cron.d/x.onnx", "x.onnx"),
        (b"C:\\models\\x.onnx", "x.onnx"),
        (b"a\x00b.onnx", "a_b.onnx"),
        (b"\x1b[2Jx.onnx", "_[2Jx.onnx"),
        ("\u202exnno.onnx".encode(), "_xnno.onnx"),
        (b"\xff.onnx", "\ufffd.onnx"),
        (b"x" * 9000, "x" * 255),
        (b"../..", ".."),
    ],
)
async def test_the_name_of_a_file_is_a_plain_name(
    admin: httpx.AsyncClient, filename: bytes, kept: str
):
    """It is shown on terminals, and files are called by it where they are downloaded."""
    answer = await form_with(admin, await new_model(admin), filename)

    assert answer.status_code == 201, answer.text
    assert [file["name"] for file in answer.json()["files"]] == [kept]


@pytest.mark.parametrize(
    "path",
    [
        "/uploads/..%2f..%2fdata", "/models/%2e%2e/versions", "/models/..%5c..%5cx", "/models/%00",
        "/models/x%0d%0aset-cookie:%20a=b/versions", "/devices/%2e%2e%2fkeys",
    ],
)  # fmt: skip
async def test_paths_lead_nowhere_else_and_never_into_headers(admin: httpx.AsyncClient, path: str):
    answer = await admin.get(API + path)

    assert answer.status_code in (400, 404), answer.text
    assert "set-cookie" not in answer.headers


@pytest.fixture(params=["sqlite", "postgres"])
async def on_each(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Swept]:
    """A client with every scope, and all routes, on both databases."""
    with ExitStack() as stack:
        options = {}
        if request.param == "postgres":
            server = request.getfixturevalue("postgres")
            options["database_url"] = stack.enter_context(fresh_database(server))
        plane = stack.enter_context(control_plane(tmp_path, **options))
        key = key_of(plane, "default", "*", "installation:admin")
        async with client_of(plane, key) as client:
            yield client, list(routes_of())


async def test_no_parameter_of_a_path_takes_a_nul(on_each: Swept):
    """Postgres cannot even look for a text with one in it."""
    client, routes = on_each
    swept = [(route, name) for route in routes for name in route.parameters]
    told = 0
    for route, name in swept:
        path = route.filled({each: "a%00b" if each == name else "1" for each in route.parameters})

        answer = await client.request(route.method, path, json={})

        if answer.status_code != 501:  # which is all that a path gets that is not served
            assert answer.status_code == 400, f"{route} {answer.text}"
        if answer.status_code != 501 and route.method != "HEAD":
            fields = [each["field"] for each in answer.json()["details"]["fields"]]
            assert name in fields, f"{route} {fields}"
            told += 1
    assert told > 50


async def test_no_text_of_a_query_with_a_nul_reaches_the_database(on_each: Swept):
    client, routes = on_each
    swept = [(route, name) for route in routes for name in route.texts]
    assert len(swept) > 10
    for route, name in swept:
        path = route.filled(dict.fromkeys(route.parameters, "1"))
        answer = await client.request(route.method, path, params={name: "a\0b"})

        assert answer.status_code in (200, 400, 404), f"{route} {name} {answer.text}"


@pytest.mark.parametrize(
    ("path", "query", "place"),
    [
        ("devices", {}, ("id", "dev_1")),
        ("devices", {"text": "a"}, ("identifier", "a", "dev_1")),
        ("devices", {"seen_after": "2026-01-01T00:00:00Z"},
         ("last_seen", "2026-01-01T00:00:00+00:00", "dev_1")),
        ("organisations", {}, ("organisation", "acme")),
    ],
)  # fmt: skip
async def test_a_cursor_with_a_nul_is_refused(
    on_each: Swept, path: str, query: dict[str, str], place: tuple[str, ...]
):
    client, _ = on_each
    answers = [
        await client.get(f"{API}/{path}", params={**query, "cursor": cursor_of(*place[:-1], last)})
        for last in (place[-1], place[-1] + "\0")
    ]

    assert [answer.status_code for answer in answers] == [200, 400], answers[1].text
    assert "the cursor belongs to no list" in answers[1].json()["message"]


async def test_a_request_id_that_is_none_is_not_repeated(admin: httpx.AsyncClient):
    answer = await admin.get(f"{API}/health", headers={"x-request-id": "a <b>\x1b[2J"})

    assert answer.headers["x-request-id"].isalnum()


@pytest.mark.parametrize(
    ("path", "field"), [("", "metadata"), ("/versions/1.0.0/metrics", "metrics")]
)
async def test_small_additions_do_not_become_a_large_whole(
    admin: httpx.AsyncClient, path: str, field: str
):
    """Else a list of such would take more memory than the server has."""
    model = await new_model(admin)
    await form_with(admin, model, b"m.onnx")
    part, url = MAX_CHARS // 2 - 1000, f"{API}/models/{model}{path}"
    answers = [
        await admin.patch(url, json={field: {name: "x" * part}}) for name in ("a", "b", "c", "a")
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 413, 200]
    kept = (await admin.get(url.removesuffix("/metrics"))).json()[field]
    assert {name: len(text) for name, text in kept.items()} == {"a": part, "b": part}


async def test_nor_do_they_begin_large(admin: httpx.AsyncClient):
    model = await new_model(admin)
    large = {"x": "x" * MAX_CHARS}
    bodies = [
        (f"{API}/models", {"name": "large", part: large})
        for part in ("metadata", "model_contract", "data_contract", "architecture")
    ]
    bodies.append((f"{API}/models/{model}/versions", {"version": "1.0.0", "metrics": large}))

    answers = [await admin.post(path, json=body) for path, body in bodies]
    answers.append(await admin.patch(f"{API}/models/{model}", json={"data_contract": large}))

    assert {answer.status_code for answer in answers} == {413}
    assert [each["id"] for each in (await admin.get(f"{API}/models")).json()["models"]] == [model]
    assert (await admin.get(f"{API}/models/{model}/versions")).json()["versions"] == []


async def test_bodies_of_callers_without_a_key_do_not_fill_the_memory(plane: ControlPlane):
    """They are read before the key is looked at."""
    async with client_of(plane, body_memory_bytes=100) as nobody:
        taken = await nobody.post(f"{API}/models", content=b"x" * 100)
        refused = await nobody.post(f"{API}/models", content=b"x" * 101)
        again = await nobody.post(f"{API}/models", content=b"x" * 100)

        told = (await nobody.request("GET", "/metrics", content=b"x" * 7)).text

    assert [each.status_code for each in (taken, refused, again)] == [401, 503, 401]
    assert "octomil:control_body_memory_bytes 7" in told
    assert refused.json()["error"] == "service_unavailable"
    assert (refused.headers["retry-after"], refused.headers["connection"]) == ("1", "close")
