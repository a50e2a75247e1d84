"""What a version is and where it comes from: manifests, the keys that sign them, lineage."""

import base64
import hashlib
import json

import httpx
import pytest

from octomil.control.plane import ControlPlane
from octomil.registry.manifest import Manifest, ManifestFile
from octomil.registry.signatures import SignatureError, key_id_of, verify
from support.control import API, client_of, key_of
from support.versions import a_file, caller_of, made_model, made_version, published_version


@pytest.fixture
async def model(admin: httpx.AsyncClient) -> str:
    return await made_model(admin, "mnist ä")


def reference(model: str, number: str) -> dict[str, str]:
    return {"model_id": model, "version": number}


async def relatives(client: httpx.AsyncClient, kind: str, model: str, number: str) -> list[str]:
    answer = await client.get(f"{API}/models/{model}/versions/{number}/{kind}")
    assert answer.status_code == 200, answer.text
    return [version["version"] for version in answer.json()["versions"]]


async def test_a_manifest_says_what_was_published_and_a_device_can_check_it(
    admin: httpx.AsyncClient, model: str, plane: ControlPlane
):
    base = await published_version(admin, plane, model, "1.0.0")
    await made_version(admin, model, "1.1.0", parents=[reference(model, "1.0.0")])
    for format_ in ("pytorch", "onnx"):
        plane.versions.add_file(caller_of(), model, "1.1.0", a_file(plane, format_, b"weights"))
    path = f"{API}/models/{model}/versions/1.1.0"
    published = (await admin.post(f"{path}/publish", json={})).json()

    told = (await admin.get(f"{path}/manifest")).json()
    (key,) = (await admin.get(f"{API}/signing-keys")).json()["keys"]

    payload = base64.b64decode(told["payload"])
    public = base64.b64decode(key["public_key"])
    (signature,) = told["signatures"]
    assert signature["keyid"] == key["keyid"] == key_id_of(public)
    verify(public, told["payloadType"], payload, base64.b64decode(signature["sig"]))
    assert "sha256:" + hashlib.sha256(payload).hexdigest() == told["digest"] == published["digest"]
    assert json.loads(payload) == told["manifest"]
    manifest = Manifest.parse(payload)
    assert (manifest.name, manifest.version) == ("mnist ä", "1.1.0")
    file = ManifestFile(digest="sha256:" + hashlib.sha256(b"weights").hexdigest(), size=7)
    assert manifest.files == {"pytorch": file, "onnx": file}
    assert [(each.version, each.digest) for each in manifest.lineage] == [("1.0.0", base["digest"])]
    with pytest.raises(SignatureError):
        verify(public, "application/json", payload, base64.b64decode(signature["sig"]))


async def test_there_is_no_manifest_before_a_version_is_published(
    admin: httpx.AsyncClient, model: str
):
    await made_version(admin, model)

    answer = await admin.get(f"{API}/models/{model}/versions/1.0.0/manifest")

    assert (answer.status_code, answer.json()["error"]) == (409, "conflict")


async def test_each_organisation_signs_with_its_own_key(
    admin: httpx.AsyncClient, model: str, plane: ControlPlane
):
    await published_version(admin, plane, model)
    await published_version(admin, plane, model, "1.0.1")

    async with client_of(plane, key_of(plane, "globex")) as stranger:
        assert (await stranger.get(f"{API}/signing-keys")).json() == {"keys": []}
    (key,) = (await admin.get(f"{API}/signing-keys")).json()["keys"]
    assert set(key) == {
        "keyid", "algorithm", "public_key", "status", "created_at", "retired_at", "endorsement"
    }  # fmt: skip
    assert (key["status"], key["retired_at"], key["endorsement"]) == ("active", None, None)


async def test_ancestors_and_descendants_come_nearest_first(admin: httpx.AsyncClient, model: str):
    """1 <- 2 <- 4, 1 <- 3 <- 4, 4 <- 5: a diamond and a tail."""
    for number, parents in [("1.0.0", ()), ("2.0.0", ("1.0.0",)), ("3.0.0", ("1.0.0",)),
                            ("4.0.0", ("3.0.0", "2.0.0")), ("5.0.0", ("4.0.0",))]:  # fmt: skip
        await made_version(
            admin, model, number, parents=[reference(model, parent) for parent in parents]
        )

    ancestors = await relatives(admin, "ancestors", model, "5.0.0")
    descendants = await relatives(admin, "descendants", model, "1.0.0")

    assert ancestors == ["4.0.0", "3.0.0", "2.0.0", "1.0.0"]
    assert (set(descendants[:2]), descendants[2:]) == ({"2.0.0", "3.0.0"}, ["4.0.0", "5.0.0"])
    assert await relatives(admin, "ancestors", model, "1.0.0") == []
    few = await admin.get(f"{API}/models/{model}/versions/5.0.0/ancestors?limit=1")
    assert few.json()["versions"][0]["model"] == "mnist ä"
    assert len(few.json()["versions"]) == 1


async def test_nothing_comes_from_itself(admin: httpx.AsyncClient, model: str):
    await made_version(admin, model, "1.0.0")
    await made_version(admin, model, "2.0.0", parents=[reference(model, "1.0.0")])
    await made_version(admin, model, "3.0.0", parents=[reference(model, "2.0.0")])
    path = f"{API}/models/{model}/versions/1.0.0/parents"

    for parent, cycle in [("3.0.0", "1.0.0 <- 3.0.0 <- 2.0.0 <- 1.0.0"), ("1.0.0", "1.0.0")]:
        answer = await admin.put(path, json={"parents": [reference(model, parent)]})
        assert answer.status_code == 409
        assert cycle in answer.json()["message"]

    assert await relatives(admin, "ancestors", model, "1.0.0") == []


async def test_parents_are_replaced_until_a_version_is_published(
    admin: httpx.AsyncClient, model: str
):
    other = await made_model(admin, "other")
    await made_version(admin, other, "7.0.0")
    await made_version(admin, model, "1.0.0")
    await made_version(admin, model, "2.0.0", parents=[reference(model, "1.0.0")])

    answer = await admin.put(
        f"{API}/models/{model}/versions/2.0.0/parents",
        json={"parents": [reference(other, "7.0.0"), reference(other, "7.0.0")]},
    )

    assert answer.status_code == 200
    assert await relatives(admin, "ancestors", model, "2.0.0") == ["7.0.0"]
    assert await relatives(admin, "descendants", model, "1.0.0") == []


async def test_a_version_waits_for_its_parents_to_be_published(
    admin: httpx.AsyncClient, model: str, plane: ControlPlane
):
    await made_version(admin, model, "1.0.0")
    await made_version(admin, model, "2.0.0", parents=[reference(model, "1.0.0")])
    plane.versions.add_file(caller_of(), model, "2.0.0", a_file(plane))

    answer = await admin.post(f"{API}/models/{model}/versions/2.0.0/publish", json={})

    assert answer.status_code == 409
    assert "1.0.0" in answer.json()["message"]


async def test_a_parent_of_another_organisation_is_not_there(
    admin: httpx.AsyncClient, model: str, plane: ControlPlane
):
    async with client_of(plane, key_of(plane, "globex")) as stranger:
        foreign = await made_model(stranger)
        await made_version(stranger, foreign)

    answer = await admin.post(
        f"{API}/models/{model}/versions",
        json={"version": "1.0.0", "parents": [reference(foreign, "1.0.0")]},
    )

    assert answer.status_code == 404
    assert (await admin.get(f"{API}/models/{model}/versions/1.0.0")).status_code == 404
