"""`/models/{id}/versions` over HTTP, as the published client calls it."""

import asyncio
import hashlib
from dataclasses import replace

import httpx
import pytest

from octomil.control.plane import ControlPlane
from octomil.errors import ConflictError
from support.control import API, WallClock
from support.versions import (
    a_file,
    caller_of,
    made_model,
    made_version,
    numbers,
    published_version,
    ready_version,
)


@pytest.fixture
async def model(admin: httpx.AsyncClient) -> str:
    return await made_model(admin)


def path_of(model: str, number: str = "1.0.0") -> str:
    return f"{API}/models/{model}/versions/{number}"


async def test_a_version_begins_as_a_draft_and_is_shown(admin: httpx.AsyncClient, model: str):
    version = await made_version(admin, model, description="a\nb", metrics={"accuracy": 0.9})

    assert (await admin.get(path_of(model))).json() == version
    assert version == {
        "id": version["id"],
        "model_id": model,
        "version": "1.0.0",
        "status": "draft",
        "failure": None,
        "description": "a\nb",
        "formats": [],
        "formats_wanted": [],
        "note": None,
        "architecture": None,
        "files": [],
        "metrics": {"accuracy": 0.9},
        "digest": None,
        "created_at": "2026-11-21T12:00:00+00:00",
        "updated_at": "2026-11-21T12:00:00+00:00",
        "published_at": None,
        "deprecated_at": None,
    }


@pytest.mark.parametrize("number", ["1.0", "v1.0.0", "1.0.0.0", "01.0.0", "latest", " 1.0.0", ""])
async def test_a_number_that_is_no_semantic_version_is_refused(
    admin: httpx.AsyncClient, model: str, number: str
):
    answer = await admin.post(f"{API}/models/{model}/versions", json={"version": number})

    assert (answer.status_code, answer.json()["error"]) == (400, "bad_request")
    assert "version" in answer.json()["message"]


async def test_a_number_is_taken_once(admin: httpx.AsyncClient, model: str):
    await made_version(admin, model)
    path = f"{API}/models/{model}/versions"

    answers = await asyncio.gather(
        *(admin.post(path, json={"version": number}) for number in ["2.0.0"] * 8)
    )
    again = await admin.post(path, json={"version": "1.0.0"})

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert (again.status_code, again.json()["error"]) == (409, "conflict")


async def test_a_version_is_converting_until_every_format_is_there(
    admin: httpx.AsyncClient, model: str, plane: ControlPlane
):
    await made_version(admin, model, formats=["pytorch", "onnx", "onnx"])
    states = []
    for format_ in ("pytorch", "onnx"):
        states.append((await admin.get(path_of(model))).json()["status"])
        early = await admin.post(f"{path_of(model)}/publish", json={})
        assert (early.status_code, early.json()["details"]) == (409, {"status": "converting"})
        assert "converting" in early.json()["message"]
        file = a_file(plane, format_, origin="converted" if format_ == "onnx" else "original")
        plane.versions.add_file(caller_of(), model, "1.0.0", file)
    version = (await admin.get(path_of(model))).json()

    assert states == ["converting", "converting"]
    assert (version["status"], version["formats"]) == ("ready", ["onnx", "pytorch"])
    assert version["files"][0] == {
        "format": "onnx",
        "digest": "sha256:" + hashlib.sha256(b"weights").hexdigest(),
        "size_bytes": 7,
        "origin": "converted",
        "name": "model.onnx",
    }
    assert (await admin.post(f"{path_of(model)}/publish", json={})).status_code == 200


async def test_a_draft_cannot_be_published(admin: httpx.AsyncClient, model: str):
    await made_version(admin, model)

    answer = await admin.post(f"{path_of(model)}/publish", json={})

    assert answer.status_code == 409
    assert "no files" in answer.json()["message"]


async def test_publishing_freezes_and_may_be_said_twice(
    admin: httpx.AsyncClient, model: str, plane: ControlPlane, clock: WallClock
):
    published = await published_version(admin, plane, model)
    clock.advance(hours=1)
    again = await admin.post(f"{path_of(model)}/publish", json={})
    present = plane.versions.get(caller_of(), model, "1.0.0").files[0]

    assert (again.status_code, again.json()) == (200, published)
    assert published["status"] == "published"
    assert published["published_at"] == "2026-11-21T12:00:00+00:00"
    assert plane.versions.add_file(caller_of(), model, "1.0.0", present).files == (present,)
    for file in (a_file(plane, "onnx"), replace(present, digest="0" * 64)):
        with pytest.raises(ConflictError, match="never change"):
            plane.versions.add_file(caller_of(), model, "1.0.0", file)
    parents = await admin.put(f"{path_of(model)}/parents", json={"parents": []})
    failed = await admin.post(f"{path_of(model)}/fail", json={"reason": "too late"})
    assert (parents.status_code, failed.status_code) == (409, 409)
    assert "cannot fail" in failed.json()["message"]
    assert (await admin.get(path_of(model))).json() == published


async def test_of_many_that_publish_at_once_all_get_the_same(
    admin: httpx.AsyncClient, model: str, plane: ControlPlane
):
    await ready_version(admin, plane, model)

    answers = await asyncio.gather(
        *(admin.post(f"{path_of(model)}/publish", json={}) for _ in range(8))
    )

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1


async def test_a_file_is_added_once_and_not_replaced(
    admin: httpx.AsyncClient, model: str, plane: ControlPlane
):
    await made_version(admin, model)
    file = a_file(plane)

    first = plane.versions.add_file(caller_of(), model, "1.0.0", file)
    again = plane.versions.add_file(caller_of(), model, "1.0.0", file)

    assert first == again
    with pytest.raises(ConflictError, match="another file in the format 'pytorch'"):
        plane.versions.add_file(
            caller_of(), model, "1.0.0", a_file(plane, content=b"other weights")
        )


async def test_a_version_that_failed_says_why_and_stays_so(
    admin: httpx.AsyncClient, model: str, plane: ControlPlane
):
    await made_version(admin, model, formats=["onnx"])
    told = {"reason": "the converter gave up"}
    unreasoned = await admin.post(f"{path_of(model)}/fail", json={"reason": ""})
    failed = await admin.post(f"{path_of(model)}/fail", json=told)
    again = await admin.post(f"{path_of(model)}/fail", json={"reason": "another"})

    version = (await admin.get(path_of(model))).json()
    published = await admin.post(f"{path_of(model)}/publish", json={})

    assert (unreasoned.status_code, failed.status_code) == (400, 200)
    assert version == failed.json() == again.json()
    assert (version["status"], version["failure"]) == ("failed", "the converter gave up")
    assert published.status_code == 409
    with pytest.raises(ConflictError, match="failed"):
        plane.versions.add_file(caller_of(), model, "1.0.0", a_file(plane, "onnx"))


async def test_versions_are_listed_newest_first_and_by_status(
    admin: httpx.AsyncClient, model: str, plane: ControlPlane, clock: WallClock
):
    for number in ("1.0.0", "3.0.0", "2.0.0"):
        await made_version(admin, model, number)
        clock.advance(seconds=1)
    for number in ("2.1.0", "2.2.0"):  # at one moment
        await published_version(admin, plane, model, number)

    assert await numbers(admin, model) == ["2.2.0", "2.1.0", "2.0.0", "3.0.0", "1.0.0"]
    assert await numbers(admin, model, limit=2, offset=1) == ["2.1.0", "2.0.0"]
    assert await numbers(admin, model, status="published") == ["2.2.0", "2.1.0"]
    unknown = await admin.get(f"{API}/models/{model}/versions?status=retired")
    assert unknown.status_code == 400


async def test_the_latest_is_the_highest_release_that_is_published(
    admin: httpx.AsyncClient, model: str, plane: ControlPlane
):
    none = await admin.get(path_of(model, "latest"))
    for number in ("1.9.0", "1.10.0", "1.2.0", "2.0.0-rc.1", "1.11.0"):
        await published_version(admin, plane, model, number)
    await ready_version(admin, plane, model, "3.0.0")
    await admin.post(f"{path_of(model, '1.11.0')}/deprecate", json={})

    latest = await admin.get(path_of(model, "latest"))

    assert (none.status_code, none.json()["error"]) == (404, "not_found")
    assert latest.json()["version"] == "1.10.0"


async def test_deprecating_takes_a_published_version_out_of_use(
    admin: httpx.AsyncClient, model: str, plane: ControlPlane, clock: WallClock
):
    await ready_version(admin, plane, model)
    early = await admin.post(f"{path_of(model)}/deprecate", json={})
    await admin.post(f"{path_of(model)}/publish", json={})
    clock.advance(days=1)
    done = await admin.post(f"{path_of(model)}/deprecate", json={})
    again = await admin.post(f"{path_of(model)}/deprecate", json={})
    back = await admin.post(f"{path_of(model)}/publish", json={})

    assert (early.status_code, done.status_code, back.status_code) == (409, 200, 409)
    assert done.json()["status"] == "deprecated"
    assert done.json()["deprecated_at"] == "2026-11-22T12:00:00+00:00"
    assert again.json() == done.json()


async def test_metrics_are_added_even_to_a_published_version(
    admin: httpx.AsyncClient, model: str, plane: ControlPlane
):
    await published_version(admin, plane, model, metrics={"loss": 0.5, "n": 1})
    before = (await admin.get(f"{path_of(model)}/manifest")).json()

    answer = await admin.patch(
        f"{path_of(model)}/metrics", json={"metrics": {"loss": 0.4, "by": {"digit": [1, None]}}}
    )

    assert answer.json()["metrics"] == {"loss": 0.4, "n": 1, "by": {"digit": [1, None]}}
    assert (await admin.get(f"{path_of(model)}/manifest")).json() == before


async def test_a_version_is_removed_and_a_published_number_never_given_again(
    admin: httpx.AsyncClient, model: str, plane: ControlPlane
):
    await made_version(admin, model, "1.0.0")
    await published_version(admin, plane, model, "2.0.0")
    for number in ("1.0.0", "2.0.0"):
        answer = await admin.delete(path_of(model, number))
        assert (answer.status_code, answer.json()["deleted"]) == (200, True)
        assert (await admin.get(path_of(model, number))).status_code == 404

    path = f"{API}/models/{model}/versions"
    draft = await admin.post(path, json={"version": "1.0.0"})
    published = await admin.post(path, json={"version": "2.0.0"})

    assert await numbers(admin, model) == ["1.0.0"]
    assert (draft.status_code, published.status_code) == (201, 409)
    assert "never given again" in published.json()["message"]
    assert (await admin.delete(f"{API}/models/{model}")).status_code == 200


async def test_a_version_somebody_needs_is_kept(
    admin: httpx.AsyncClient, model: str, plane: ControlPlane
):
    for number in ("1.0.0", "2.0.0"):
        await published_version(admin, plane, model, number)
    await made_version(admin, model, "3.0.0", parents=[{"model_id": model, "version": "1.0.0"}])
    alias = f"{API}/models/{model}/aliases/production"
    await admin.put(alias, json={"version": "1.0.0"})

    needed = await admin.delete(path_of(model))

    assert (needed.status_code, needed.json()["details"]) == (
        409,
        {"needed_by": ["the alias 'production'", f"the version 3.0.0 of {model}"]},
    )
    await admin.put(alias, json={"version": "2.0.0"})
    assert (await admin.delete(path_of(model, "3.0.0"))).status_code == 200
    assert (await admin.delete(path_of(model))).status_code == 200


@pytest.mark.parametrize(
    ("method", "suffix", "body"),
    [
        ("GET", "", None),
        ("DELETE", "", None),
        ("POST", "/publish", {}),
        ("POST", "/deprecate", {}),
        ("POST", "/fail", {"reason": "why"}),
        ("PATCH", "/metrics", {"metrics": {}}),
        ("GET", "/manifest", None),
        ("PUT", "/parents", {"parents": []}),
        ("GET", "/ancestors", None),
        ("GET", "/descendants", None),
    ],
)
@pytest.mark.parametrize("place", ["models/mdl_0/versions/1.0.0", "models/{model}/versions/9.9.9"])
async def test_what_is_not_there_is_not_found(
    admin: httpx.AsyncClient, model: str, method: str, suffix: str, body: dict | None, place: str
):
    answer = await admin.request(method, f"{API}/{place.format(model=model)}{suffix}", json=body)

    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


async def test_each_act_is_in_the_audit(admin: httpx.AsyncClient, model: str, plane: ControlPlane):
    await published_version(admin, plane, model)
    await admin.patch(f"{path_of(model)}/metrics", json={"metrics": {"a": 1}})
    await admin.post(f"{path_of(model)}/deprecate", json={})
    await admin.delete(path_of(model))

    with plane.store.snapshot("default") as tx:
        tx.audit.verify()
        acts = [act["operation"] for act in tx.audit.entries()]

    assert acts[-6:] == [
        "version.create", "version.add_file", "version.publish", "version.measure",
        "version.deprecate", "version.delete",
    ]  # fmt: skip
