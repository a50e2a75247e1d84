"""Downloads over HTTP: whole, in part, and by links that need no key."""

import hashlib
from base64 import b64encode
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx
import pytest

from octomil.control.plane import ControlPlane
from octomil.control.services.download_links import DownloadLink
from support import model_files as made
from support.control import API, WallClock, client_of, control_plane, key_of
from support.registry import downloaded, new_model, sent

CONTENT = made.safetensors_file(w=[1.0, 2.0, 3.0])
DIGEST = hashlib.sha256(CONTENT).hexdigest()
TAG = f'"{DIGEST}"'
SIZE = len(CONTENT)
FIELD = f"sha-256=:{b64encode(bytes.fromhex(DIGEST)).decode()}:"


@pytest.fixture
async def model(admin: httpx.AsyncClient) -> str:
    model = await new_model(admin)
    answer = await sent(admin, model, CONTENT)
    assert answer.status_code == 201, answer.text
    return model


def path_of(model: str, version: str = "1.0.0") -> str:
    return f"{API}/models/{model}/versions/{version}/download"


async def test_a_file_says_what_it_is(admin: httpx.AsyncClient, model: str):
    answer = await admin.get(path_of(model))
    head = await admin.head(path_of(model))

    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["etag"] == TAG
    assert answer.headers["content-digest"] == answer.headers["repr-digest"] == FIELD
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-length"] == str(SIZE)
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    ours = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    assert ours.items() <= dict(head.headers).items()
    assert head.content == b""


async def test_what_the_client_has_is_not_sent_again(admin: httpx.AsyncClient, model: str):
    for tags in (TAG, f'W/{TAG}, "x"', "*"):
        answer = await admin.get(path_of(model), headers={"if-none-match": tags})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == TAG
    answer = await admin.get(path_of(model), headers={"if-none-match": '"other"'})
    assert answer.status_code == 200


async def cached(client: httpx.AsyncClient, model: str, version: str, **query: str) -> str:
    answer = await downloaded(client, model, version, **query)
    assert (answer.status_code, answer.content) == (200, CONTENT), answer.text
    same = await client.get(
        path_of(model, version), params=query, headers={"if-none-match": answer.headers["etag"]}
    )
    assert same.status_code == 304
    assert same.headers["cache-control"] == answer.headers["cache-control"]
    return answer.headers["cache-control"]


async def test_only_what_never_changes_is_kept_without_asking(
    admin: httpx.AsyncClient, anybody: httpx.AsyncClient, model: str
):
    """Another upload may take a draft's number, a release follows the latest, a file is added."""
    named = {"format": "safetensors"}
    draft = [await cached(admin, model, "1.0.0"), await cached(admin, model, "1.0.0", **named)]
    await admin.post(f"{API}/models/{model}/versions/1.0.0/publish", json={})
    latest = [await cached(admin, model, "latest"), await cached(admin, model, "latest", **named)]
    unnamed = await cached(admin, model, "1.0.0")
    release = await cached(admin, model, "1.0.0", **named)
    await admin.post(f"{API}/models/{model}/versions/1.0.0/deprecate", json={})
    deprecated = await cached(admin, model, "1.0.0", **named)
    blob = (await anybody.get((await link(admin, model))["url"])).headers["cache-control"]

    assert {*draft, *latest, unnamed} == {"private, no-cache"}
    assert {release, deprecated, blob} == {"private, max-age=31536000, immutable"}


async def test_a_draft_that_is_made_anew_is_sent_anew(admin: httpx.AsyncClient, model: str):
    tag = (await downloaded(admin, model)).headers["etag"]
    await admin.delete(f"{API}/models/{model}/versions/1.0.0")
    other = made.safetensors_file(w=[9.0])
    await sent(admin, model, other)

    answer = await admin.get(path_of(model), headers={"if-none-match": tag})

    assert (answer.status_code, answer.content) == (200, other)


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-", 0, SIZE),
        ("bytes=5-9", 5, 10),
        (f"bytes=5-{SIZE + 100}", 5, SIZE),
        ("bytes=-4", SIZE - 4, SIZE),
        (f"bytes=-{SIZE + 4}", 0, SIZE),
    ],
)
async def test_a_part_is_sent(admin: httpx.AsyncClient, model: str, asked, start, end):
    answer = await admin.get(path_of(model), headers={"range": asked})

    assert (answer.status_code, answer.content) == (206, CONTENT[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert answer.headers["repr-digest"] == FIELD
    assert "content-digest" not in answer.headers


@pytest.mark.parametrize(
    "asked",
    ["bytes=0-1,3-4", "bytes=9-5", "bytes=-", "items=0-1", "bytes=a-b", "bytes=" + "9" * 30 + "-"],
)
async def test_what_is_no_single_part_gets_the_whole(
    admin: httpx.AsyncClient, model: str, asked: str
):
    answer = await admin.get(path_of(model), headers={"range": asked})

    assert (answer.status_code, answer.content) == (200, CONTENT)


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", "bytes=-0"])
async def test_a_part_that_lies_outside_is_refused(
    admin: httpx.AsyncClient, model: str, asked: str
):
    answer = await admin.get(path_of(model), headers={"range": asked})

    assert (answer.status_code, answer.json()["error"]) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize("asked", ["bytes=0-3", "bytes=9999999-"])
async def test_a_part_is_asked_for_by_get_alone(admin: httpx.AsyncClient, model: str, asked: str):
    answer = await admin.head(path_of(model), headers={"range": asked})

    assert answer.status_code == 200
    assert answer.headers["content-length"] == str(SIZE)
    assert "content-range" not in answer.headers


async def test_a_part_of_another_file_is_not_mixed_in(admin: httpx.AsyncClient, model: str):
    for tag, status in ((TAG, 206), ('"other"', 200), (f"W/{TAG}", 200)):
        headers = {"range": "bytes=5-", "if-range": tag}
        assert (await admin.get(path_of(model), headers=headers)).status_code == status


async def test_what_is_not_there_is_not_found(admin: httpx.AsyncClient, model: str):
    answer = await downloaded(admin, model, format="onnx")

    assert (answer.status_code, answer.json()["details"]) == (404, {"formats": ["safetensors"]})
    assert (await downloaded(admin, model, "9.9.9")).status_code == 404
    assert (await downloaded(admin, model, "latest")).status_code == 404
    assert (await downloaded(admin, "mod_none")).status_code == 404


async def test_torchscript_is_pytorch_for_who_asks_for_that(admin: httpx.AsyncClient):
    model = await new_model(admin, "scripted")
    await sent(admin, model, made.torchscript_file())

    assert (await downloaded(admin, model, format="torchscript")).content == made.torchscript_file()
    assert (await downloaded(admin, model, format="pytorch")).content == made.torchscript_file()


async def test_anothers_file_is_not_there(
    admin: httpx.AsyncClient, anybody: httpx.AsyncClient, plane: ControlPlane, model: str
):
    async with client_of(plane, key_of(plane, "other")) as other:
        assert (await downloaded(other, model)).status_code == 404
        assert (await other.get(f"{path_of(model)}-url")).status_code == 404
    assert (await anybody.get(path_of(model))).status_code == 401


async def link(admin: httpx.AsyncClient, model: str, **query: str) -> dict:
    answer = await admin.get(f"{path_of(model)}-url", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_link_is_good_without_a_key(
    admin: httpx.AsyncClient, anybody: httpx.AsyncClient, model: str
):
    given = await link(admin, model)

    answer = await anybody.get(given["url"])
    part = await anybody.get(given["url"], headers={"range": "bytes=-4"})

    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert (part.status_code, part.content) == (206, CONTENT[-4:])
    assert given["url"].startswith("http://control/api/v1/blobs/")
    assert (given["sha256"], given["size_bytes"], given["format"]) == (DIGEST, SIZE, "safetensors")
    assert given["expires_at"] == "2026-11-21T13:00:00+00:00"


async def test_a_link_leads_to_where_others_reach_the_control_plane(tmp_path: Path):
    with control_plane(tmp_path, public_url="https://models.example/octomil/") as plane:
        async with client_of(plane, key_of(plane)) as client:
            model = await new_model(client)
            await sent(client, model, CONTENT)
            given = await link(client, model)

    assert given["url"].startswith("https://models.example/octomil/api/v1/blobs/")


async def test_a_secret_that_retired_long_ago_signs_no_link(
    admin: httpx.AsyncClient,
    anybody: httpx.AsyncClient,
    plane: ControlPlane,
    clock: WallClock,
    model: str,
):
    """Who got hold of it could write links that expire in a hundred years."""
    url = (await link(admin, model))["url"]
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    with plane.store.system_snapshot() as tx:
        (secret,) = tx.signing_secrets()
    forged = DownloadLink(digest=DIGEST, organisation="default", expires_s=2**40,
                          name=query["name"], key_id=secret.id)  # fmt: skip
    query |= {"expires": str(2**40), "signature": forged.signed(secret.secret)}
    lasting = urlunsplit(parts._replace(query=urlencode(query)))
    clock.advance(seconds=1)
    plane.access_tokens.rotate_secret()
    clock.advance(seconds=3500)
    before = [await anybody.get(each) for each in (url, lasting)]
    clock.advance(seconds=161)

    after = await anybody.get(lasting)

    assert [each.status_code for each in before] == [200, 200]
    assert after.status_code == 403


async def test_a_link_expires(
    admin: httpx.AsyncClient, anybody: httpx.AsyncClient, clock: WallClock, model: str
):
    url = (await link(admin, model))["url"]
    clock.advance(seconds=3599)
    assert (await anybody.get(url)).status_code == 200
    clock.advance(seconds=1)

    answer = await anybody.get(url)

    assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
    assert "expired" in answer.json()["message"]


@pytest.mark.parametrize("changed", ["digest", "org_id", "expires", "name", "key", "signature"])
async def test_a_link_that_was_changed_opens_nothing(
    admin: httpx.AsyncClient, anybody: httpx.AsyncClient, model: str, changed: str
):
    other = await new_model(admin, "other")
    await sent(admin, other, made.onnx_file())
    parts = urlsplit((await link(admin, model))["url"])
    query, path = dict(parse_qsl(parts.query)), parts.path
    if changed == "digest":
        path = path.replace(DIGEST, hashlib.sha256(made.onnx_file()).hexdigest())
    else:
        query[changed] = "99999999999" if changed == "expires" else "ä" + query[changed][1:]

    url = urlunsplit(parts._replace(path=path, query=urlencode(query)))

    assert (await anybody.get(url)).status_code == 403


async def test_a_link_to_what_is_gone_opens_nothing(
    admin: httpx.AsyncClient, anybody: httpx.AsyncClient, model: str
):
    url = (await link(admin, model))["url"]
    assert (await admin.delete(f"{API}/models/{model}/versions/1.0.0")).status_code == 200

    assert (await anybody.get(url)).status_code == 404


async def test_bytes_that_are_missing_are_told(
    admin: httpx.AsyncClient, model: str, tmp_path: Path
):
    next(path for path in (tmp_path / "blobs").rglob(DIGEST)).unlink()

    assert (await downloaded(admin, model)).status_code == 404
