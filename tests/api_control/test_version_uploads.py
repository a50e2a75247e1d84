"""`/models/{id}/versions/upload` over HTTP: one form, its files looked through and kept."""

import hashlib
import io
import os
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from octomil.control.plane import ControlPlane
from support import model_files as made
from support.control import API, client_of, key_of
from support.folders import names_in
from support.registry import begun, completed, downloaded, new_model, sent, uploaded

CONTENT = made.safetensors_file(w=[1.0, 2.0])


def spooled(folder: Path) -> list[str]:
    """What lies in the spool, the scratch folder aside."""
    uploads = folder / "uploads"
    return [name for name in names_in(uploads) if name != "scratch"] + names_in(uploads / "scratch")


async def test_a_file_becomes_a_version_and_comes_back_unchanged(
    admin: httpx.AsyncClient, tmp_path: Path
):
    content = made.torch_file()
    model = await new_model(admin)

    answer = await sent(admin, model, content)
    version = answer.json()

    assert answer.status_code == 201, answer.text
    assert (version["version"], version["status"], version["model_id"]) == ("1.0.0", "ready", model)
    original = next(file for file in version["files"] if file["origin"] == "original")
    assert original == {
        "format": "pytorch",
        "digest": "sha256:" + hashlib.sha256(content).hexdigest(),
        "size_bytes": len(content),
        "origin": "original",
        "name": "model.pt",
    }
    assert (await downloaded(admin, model, format="pytorch")).content == content
    assert (await downloaded(admin, model)).content == content
    assert spooled(tmp_path) == []


async def test_safetensors_are_made_of_a_state_dict_where_torch_is_installed(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    model, content = await new_model(admin), made.torch_file(weight=[1.0, 2.0])

    version = (await sent(admin, model, content)).json()

    with plane.store.snapshot("default") as tx:
        blob = tx.blobs.get(hashlib.sha256(content).hexdigest())
    assert blob is not None
    if find_spec("torch") is None:
        assert version["formats"] == ["pytorch"]
        assert "not installed" in str(blob.not_converted)
        return
    origins = {file["format"]: file["origin"] for file in version["files"]}
    assert origins == {"pytorch": "original", "safetensors": "converted"}
    assert blob.not_converted is None
    made_of_it = await downloaded(admin, model, format="safetensors")
    assert made_of_it.content.endswith(CONTENT[-8:])  # the header may be spaced otherwise
    assert b"weight" in made_of_it.content


async def test_everything_the_published_client_sends_is_taken(admin: httpx.AsyncClient):
    model = await new_model(admin)
    fields = {"description": "first", "formats": "onnx, tflite", "architecture": "mlp",
              "input_dim": "16", "hidden_dim": "8", "output_dim": "4"}  # fmt: skip

    version = (await sent(admin, model, made.onnx_file(), fields=fields)).json()

    assert version["description"] == "first"
    assert version["formats_wanted"] == ["onnx", "tflite"]
    assert (version["formats"], version["status"]) == (["onnx"], "converting")
    built = {"name": "mlp", "input_dim": 16, "hidden_dim": 8, "output_dim": 4}
    assert version["architecture"] == built
    shown = await admin.get(f"{API}/models/{model}/versions/1.0.0")
    assert shown.json() == version
    assert (await admin.get(f"{API}/models/{model}")).json()["architecture"] == built


async def test_a_model_that_its_owner_described_stays_so(admin: httpx.AsyncClient):
    model = await new_model(admin)
    described = {"name": "resnet", "target_col": "label", "output_dim": 10}
    await admin.patch(f"{API}/models/{model}", json={"architecture": described})

    answer = await sent(admin, model, made.onnx_file(), fields={"output_dim": "4"})

    assert answer.json()["architecture"] == {"output_dim": 4}
    assert (await admin.get(f"{API}/models/{model}")).json()["architecture"] == described


@pytest.mark.parametrize("size", ["0", "-1", "1.5", "many", "", "9" * 20, "\u0664"])
async def test_a_size_that_is_none_is_refused(admin: httpx.AsyncClient, size: str):
    model = await new_model(admin)

    answer = await sent(admin, model, made.onnx_file(), fields={"input_dim": size})

    assert (answer.status_code, "input_dim" in answer.text) == (400, True)
    assert (await admin.get(f"{API}/models/{model}/versions")).json()["versions"] == []


async def test_a_version_says_what_it_waits_for_and_that_nothing_makes_it(
    admin: httpx.AsyncClient,
):
    model = await new_model(admin)
    fields = {"formats": "onnx,tflite,coreml"}

    version = (await sent(admin, model, made.onnx_file(), fields=fields)).json()
    path = f"{API}/models/{model}/versions/1.0.0"
    refused = await admin.post(f"{path}/publish", json={})

    assert version["status"] == "converting"
    assert "lacks coreml, tflite" in version["note"]
    assert "converts nothing else yet" in version["note"]
    assert refused.status_code == 409
    assert version["note"] in refused.json()["message"]


async def test_a_format_that_nothing_is_ever_of_is_refused_at_once(admin: httpx.AsyncClient):
    model = await new_model(admin)

    answer = await sent(admin, model, made.onnx_file(), fields={"formats": "onnx,tflit"})

    assert answer.status_code == 400
    assert "did you mean 'tflite'?" in answer.json()["message"]


async def test_a_version_is_ready_once_the_formats_it_wants_are_there(admin: httpx.AsyncClient):
    model = await new_model(admin)
    await sent(admin, model, made.onnx_file(), fields={"formats": "onnx,tflite"})
    files = f"{API}/models/{model}/versions/1.0.0/files"
    path = await uploaded(admin, made.tflite_file())

    refused = await admin.post(files, json={"storage_path": path, "format": "coreml"})
    answer = await admin.post(files, json={"storage_path": path, "format": "tflite"})
    again = await admin.post(files, json={"storage_path": path})

    assert (refused.status_code, refused.json()["error"]) == (400, "bad_request")
    assert (answer.json()["status"], again.json()) == ("ready", answer.json())
    assert (await downloaded(admin, model, format="tflite")).content == made.tflite_file()
    origins = {file["format"]: file["origin"] for file in answer.json()["files"]}
    assert origins == {"onnx": "original", "tflite": "converted"}


async def test_an_onnx_model_may_bring_its_weights_along(admin: httpx.AsyncClient):
    model = await new_model(admin)
    weights = os.urandom(5000)

    version = (await sent(admin, model, made.onnx_file(), onnx_data=weights)).json()

    assert version["formats"] == ["onnx", "onnx_data"]
    assert (await downloaded(admin, model, format="onnx_data")).content == weights


async def test_weights_beside_something_else_are_refused(admin: httpx.AsyncClient, tmp_path: Path):
    model = await new_model(admin)

    answer = await sent(admin, model, CONTENT, onnx_data=b"weights")

    assert answer.status_code == 400
    assert spooled(tmp_path) == []


@pytest.mark.parametrize("name", list(made.exploits(Path("canary"))))
async def test_a_file_that_would_run_code_is_refused_and_runs_none(
    admin: httpx.AsyncClient, tmp_path: Path, name: str
):
    canary = tmp_path / "canary"
    model = await new_model(admin)

    answer = await sent(admin, model, made.torch_file(made.exploits(canary)[name]))

    assert (answer.status_code, answer.json()["error"]) == (415, "unsupported_media_type")
    assert "would run code" in answer.json()["message"]
    assert not canary.exists()
    assert (await admin.get(f"{API}/models/{model}/versions")).json() == {"versions": []}
    assert spooled(tmp_path) == []


async def test_a_model_with_its_own_code_is_kept_and_not_converted(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    model = await new_model(admin)
    content = made.torch_file(b"\x80\x02c__main__\nNet\n)\x81}b.")

    version = (await sent(admin, model, content)).json()

    assert version["formats"] == ["pytorch"]
    with plane.store.snapshot("default") as tx:
        blob = tx.blobs.get(hashlib.sha256(content).hexdigest())
    assert blob is not None
    assert blob.unknown_imports == ("__main__.Net",)
    assert "__main__.Net" in str(blob.not_converted)


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"version": "one"}, 400), ({"version": ""}, 400), ({}, 400), ({"version": "1.0.0"}, 409)],
)
async def test_what_makes_no_version_is_refused(
    admin: httpx.AsyncClient, tmp_path: Path, fields: dict[str, str], status: int
):
    model = await new_model(admin)
    await sent(admin, model, CONTENT)

    answer = await admin.post(
        f"{API}/models/{model}/versions/upload", data=fields, files={"file": ("m", CONTENT)}
    )

    assert answer.status_code == status, answer.text
    assert spooled(tmp_path) == []


BOUNDARY = "multipart/form-data; boundary=b"
END = b"\r\n--b--\r\n"


def part(name: bytes) -> bytes:
    return b'--b\r\nContent-Disposition: form-data; name="' + name + b'"\r\n\r\n'


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("", b"", 415),
        ("multipart/form-data", b"", 400),
        (BOUNDARY, b"", 400),
        (BOUNDARY, b"nonsense", 400),
        (BOUNDARY, part(b"file") + b"abc", 400),
        (BOUNDARY, b"--b\r\nContent-Disposition: form-data\r\n\r\nabc" + END, 400),
        (BOUNDARY, part(b"version") + b"\xff" + END, 400),
        (BOUNDARY, part(b"version") + b"1.0.0" + END, 400),
        (BOUNDARY, part(b"x") + bytes(1 << 17), 400),
        (BOUNDARY, (part(b"file") + b"a\r\n") * 2 + b"--b--\r\n", 400),
        (BOUNDARY, b"--b\r\nX: " + b"y" * 40_000, 400),
    ],
)  # fmt: skip
async def test_broken_forms_are_refused(
    admin: httpx.AsyncClient, tmp_path: Path, kind: str, body: bytes, status: int
):
    model = await new_model(admin)

    answer = await admin.post(
        f"{API}/models/{model}/versions/upload", content=body, headers={"content-type": kind}
    )

    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error", "message", "status_code", "request_id", "details"}
    assert spooled(tmp_path) == []


async def test_a_full_disk_refuses_a_form_and_keeps_what_was_there(
    admin: httpx.AsyncClient, tmp_path: Path, small_files: None
):
    model = await new_model(admin)
    assert (await sent(admin, model, CONTENT)).status_code == 201

    answer = await sent(admin, model, bytes(1 << 20), "2.0.0")

    assert (answer.status_code, answer.json()["error"]) == (503, "service_unavailable")
    assert spooled(tmp_path) == []
    assert (await downloaded(admin, model)).content == CONTENT
    listed = (await admin.get(f"{API}/models/{model}/versions")).json()["versions"]
    assert [version["version"] for version in listed] == ["1.0.0"]


async def test_nothing_is_read_for_a_model_that_is_not_there(admin: httpx.AsyncClient):
    answer = await admin.post(
        f"{API}/models/mod_none/versions/upload", content=b"", headers={"content-type": BOUNDARY}
    )

    assert answer.status_code == 404


async def test_a_key_that_may_only_read_uploads_nothing(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    model = await new_model(admin)
    async with client_of(plane, key_of(plane, "default", "models:read")) as reader:
        answers = [
            await sent(reader, model, CONTENT),
            await reader.post(f"{API}/uploads", json={"size_bytes": 1}),
            await reader.post(f"{API}/blobs/collect"),
        ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]


async def test_another_organisations_model_takes_nothing(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    model = await new_model(admin)
    async with client_of(plane, key_of(plane, "other")) as other:
        assert (await sent(other, model, CONTENT)).status_code == 404


async def test_a_version_is_made_of_an_upload(admin: httpx.AsyncClient):
    model, path = await new_model(admin), await uploaded(admin, CONTENT)
    body = {
        "version": "2.0.0",
        "storage_path": path,
        "format": "safetensors",
        "checksum": hashlib.sha256(CONTENT).hexdigest(),
        "size_bytes": len(CONTENT),
        "description": "from an upload",
        "metrics": {"accuracy": 0.9},
    }
    """What the published client sends."""

    answer = await admin.post(f"{API}/models/{model}/versions", json=body)
    version = answer.json()

    assert answer.status_code == 201, answer.text
    assert (version["status"], version["formats"]) == ("ready", ["safetensors"])
    assert version["metrics"] == {"accuracy": 0.9}
    assert (await downloaded(admin, model, "2.0.0")).content == CONTENT


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"storage_path": "s3://bucket/key"}, 400),
        ({"storage_path": "/etc/passwd"}, 400),
        ({"storage_path": "file:///etc/passwd"}, 400),
        ({"storage_path": "sha256:" + "0" * 64}, 404),
        ({"storage_path": "sha256:../../x"}, 404),
        ({"format": "onnx"}, 400),
        ({"checksum": "0" * 64}, 409),
        ({"size_bytes": 1}, 409),
    ],
)
async def test_a_version_is_made_only_of_what_is_held_and_as_is_said(
    admin: httpx.AsyncClient, changes: dict, status: int
):
    model, path = await new_model(admin), await uploaded(admin, CONTENT)
    body = {"version": "1.0.0", "storage_path": path} | changes

    answer = await admin.post(f"{API}/models/{model}/versions", json=body)

    assert answer.status_code == status, answer.text
    assert (await admin.get(f"{API}/models/{model}/versions")).json() == {"versions": []}


async def test_the_digest_of_anothers_file_opens_nothing(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    path = await uploaded(admin, CONTENT)
    async with client_of(plane, key_of(plane, "other")) as other:
        model = await new_model(other)
        body = {"version": "1.0.0", "storage_path": path}
        answer = await other.post(f"{API}/models/{model}/versions", json=body)
        pretended = await completed(other, await begun(other, len(CONTENT)), CONTENT)

    assert (answer.status_code, pretended.status_code) == (404, 409)


async def test_the_same_bytes_are_kept_once(admin: httpx.AsyncClient, tmp_path: Path):
    model = await new_model(admin)
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        assert (await sent(admin, model, CONTENT, version)).status_code == 201

    kept = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in kept] == [CONTENT]


async def test_a_published_version_takes_no_more_files(admin: httpx.AsyncClient):
    model = await new_model(admin)
    await sent(admin, model, CONTENT)
    version = f"{API}/models/{model}/versions/1.0.0"
    assert (await admin.post(f"{version}/publish", json={})).status_code == 200

    path = await uploaded(admin, made.onnx_file())
    answer = await admin.post(f"{version}/files", json={"storage_path": path})

    assert answer.status_code == 409
    assert (await downloaded(admin, model, "latest")).content == CONTENT


async def test_a_large_form_passes_in_pieces(admin: httpx.AsyncClient):
    tensor = b'{"w":{"dtype":"U8","shape":[5000000],"data_offsets":[0,5000000]}}'
    content = len(tensor).to_bytes(8, "little") + tensor + os.urandom(5_000_000)
    model = await new_model(admin)

    answer = await admin.post(
        f"{API}/models/{model}/versions/upload",
        data={"version": "1.0.0"},
        files={"file": ("big", io.BytesIO(content))},
    )

    assert answer.status_code == 201, answer.text
    assert (await downloaded(admin, model)).content == content
