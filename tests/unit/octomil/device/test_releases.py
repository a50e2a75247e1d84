"""What a device does about a server that wants it to run or to write something else."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from octomil.device.releases import Releases, damaged_part
from octomil.device.state import StateFolder
from octomil.errors import (
    DataFolderError,
    DigestMismatchError,
    InvalidModelFileError,
    UnexpectedAnswerError,
)
from octomil.http.api import ApiClient
from octomil.registry.manifest import PAYLOAD_TYPE, Manifest, ManifestFile, digest_of
from octomil.registry.signatures import key_id_of, new_private_key, public_key_of, sign
from octomil.registry.succession import endorse
from octomil.sdk.downloads import Downloader
from support.device_keys import OWNER, text
from support.hub import Hub, running_hub

CONTENT = b"weights"
THIEF = new_private_key()


class Server:
    """A control plane, or whoever is between it and the device: answers with what it likes."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        hub.pages["/blob"] = CONTENT
        self.answers(
            "/models/m/versions/1.0.0/download-url?format=onnx", {"url": f"{hub.url}/blob"}
        )

    def answers(self, path: str, value: Any) -> None:
        self.hub.pages[f"/api/v1{path}"] = json.dumps(value).encode()

    def lists(self, *keys: dict[str, Any]) -> None:
        self.answers("/signing-keys", {"keys": keys})

    def offers(self, private: bytes, format_: str = "onnx") -> str:
        """Publish a version that a key signed; return its digest."""
        file = ManifestFile(
            digest=f"sha256:{hashlib.sha256(CONTENT).hexdigest()}", size=len(CONTENT)
        )
        payload = Manifest(
            name="mnist", version="1.0.0", files={format_: file}, lineage=(), created="now"
        ).payload()
        signed = {
            "keyid": key_id_of(public_key_of(private)),
            "sig": text(sign(private, PAYLOAD_TYPE, payload)),
        }
        envelope = {
            "digest": digest_of(payload), "manifest": {}, "payloadType": PAYLOAD_TYPE,
            "payload": text(payload), "signatures": [signed],
        }  # fmt: skip
        self.answers("/models/m/versions/1.0.0/manifest", envelope)
        return digest_of(payload)


def key(
    private: bytes,
    endorsed_by: bytes | None = None,
    name: str | None = None,
    status: str = "active",
) -> dict:
    """A key as it is listed; `name` is what the list says that the endorsing key is called."""
    public = public_key_of(private)
    shown = {
        "keyid": key_id_of(public), "algorithm": "ed25519", "public_key": text(public),
        "status": status, "created_at": "now", "retired_at": None, "endorsement": None,
    }  # fmt: skip
    if endorsed_by is not None:
        said = endorse(endorsed_by, public)
        shown["endorsement"] = {"keyid": name or said.key_id, "sig": text(said.signature)}
    return shown


@pytest.fixture
def server() -> Iterator[Server]:
    with running_hub() as hub:
        yield Server(hub)


def obtain(server: Server, state: StateFolder, digest: str) -> Path:
    with ApiClient(server.hub.url, None) as api:
        release = Releases(state, api, Downloader(api)).obtain("m", "1.0.0", digest, name="mnist")
        return release.folder


def test_what_the_owner_signed_comes_in(server: Server, state: StateFolder):
    folder = obtain(server, state, server.offers(OWNER))

    assert (folder / "onnx").read_bytes() == CONTENT


def test_what_a_key_signed_that_the_owner_endorsed_comes_in_and_the_key_is_kept(
    server: Server, state: StateFolder
):
    following = new_private_key()
    server.lists(key(OWNER), key(following, endorsed_by=OWNER))

    obtain(server, state, server.offers(following))

    assert len(json.loads(state.keys.read_text())) == 2


@pytest.mark.parametrize(
    "listed",
    [
        key(THIEF),
        key(THIEF, endorsed_by=THIEF),
        key(THIEF, endorsed_by=THIEF, name=key_id_of(public_key_of(OWNER))),
        {**key(THIEF), "keyid": key_id_of(public_key_of(OWNER))},
    ],
    ids=["alone", "by itself", "in the owner's name", "under the owner's name"],
)
def test_a_key_that_nobody_signed_is_not_learnt(server: Server, state: StateFolder, listed: dict):
    before = state.keys.read_bytes()
    server.lists(key(OWNER), listed)

    with pytest.raises(DigestMismatchError, match="none of the keys"):
        obtain(server, state, server.offers(THIEF))

    assert state.keys.read_bytes() == before
    assert list(state.releases.iterdir()) == []


@pytest.mark.parametrize(
    "answer",
    [{}, {"keys": [{}]}, {"keys": "x"}, {"keys": [{"public_key": 7}]},
     {"keys": [{**key(THIEF), "public_key": "?"}]}, {"keys": [{**key(THIEF), "public_key": "é"}]},
     {"keys": [{**key(THIEF), "endorsement": "x"}]},
     {"keys": [{**key(THIEF), "endorsement": {"keyid": ["a"], "sig": ""}}]}, [], "x"],
)  # fmt: skip
def test_a_list_of_keys_that_is_none_is_an_error_of_the_server(
    server: Server, state: StateFolder, answer: dict
):
    server.answers("/signing-keys", answer)

    with pytest.raises(UnexpectedAnswerError):
        obtain(server, state, server.offers(THIEF))


@pytest.mark.parametrize(
    "changes",
    [{"payload": "é"}, {"payload": "?"}, {"payload": 7}, {"signatures": 7}, {"signatures": [{}]},
     {"signatures": [{"keyid": ["a"], "sig": ""}]}, {"signatures": [{"keyid": "a", "sig": "é"}]}],
)  # fmt: skip
def test_an_envelope_that_is_none_is_an_error_of_the_server(
    server: Server, state: StateFolder, changes: dict
):
    digest, page = server.offers(OWNER), "/models/m/versions/1.0.0/manifest"
    shown = json.loads(server.hub.pages[f"/api/v1{page}"])
    server.answers(page, {**shown, **changes})

    with pytest.raises(UnexpectedAnswerError):
        obtain(server, state, digest)


@pytest.mark.parametrize("answer", [{}, [], {"url": 7}, {"url": "http://..../"}])
def test_a_link_that_is_none_is_an_error_of_the_server(
    server: Server, state: StateFolder, answer: object
):
    server.answers("/models/m/versions/1.0.0/download-url?format=onnx", answer)

    with pytest.raises(UnexpectedAnswerError):
        obtain(server, state, server.offers(OWNER))


@pytest.mark.parametrize("format_", ["../../x", "..", "/etc/x", "manifest.json", "a/b", ""])
def test_not_even_who_has_the_key_makes_it_write_elsewhere(
    server: Server, state: StateFolder, format_: str
):
    with pytest.raises(InvalidModelFileError, match="no name of a format"):
        obtain(server, state, server.offers(OWNER, format_))

    assert list(state.releases.iterdir()) == []


@pytest.mark.parametrize("digest", ["", "sha256:..", "sha256:" + "../" * 21 + "a"])
def test_what_was_assigned_without_a_digest_is_refused(
    server: Server, state: StateFolder, digest: str
):
    with pytest.raises(UnexpectedAnswerError, match="no digest"):
        obtain(server, state, digest)


@pytest.mark.parametrize("model_id", ["..", ".", "../x", "a/../../b"])
def test_the_link_of_a_model_lies_in_its_folder(state: StateFolder, model_id: str):
    assert state.link(model_id).parent == state.active
    assert state.link(model_id).name not in (".", "..")


@pytest.mark.parametrize(
    ("name", "version"), [("mnist", "2.0.0"), ("resnet", "1.0.0")], ids=["version", "model"]
)
@pytest.mark.parametrize("is_here", [False, True])
def test_a_signed_release_of_another_version_or_model_is_not_what_was_assigned(
    server: Server, state: StateFolder, name: str, version: str, is_here: bool
):
    digest = server.offers(OWNER)
    if is_here:
        obtain(server, state, digest)
    manifest = server.hub.pages["/api/v1/models/m/versions/1.0.0/manifest"]
    server.hub.pages[f"/api/v1/models/m/versions/{version}/manifest"] = manifest

    with (
        ApiClient(server.hub.url, None) as api,
        pytest.raises(DigestMismatchError, match=r"was assigned, and the manifest is of mnist 1"),
    ):
        Releases(state, api, Downloader(api)).obtain("m", version, digest, name=name)


@pytest.mark.parametrize("text_of_file", ["", "{}", "[]", "{", '{"a": "?"}', '{"a": null}'])
def test_keys_that_cannot_be_read_are_not_learnt_anew(
    server: Server, state: StateFolder, text_of_file: str
):
    state.keys.write_text(text_of_file)
    server.lists(key(THIEF))

    with pytest.raises(DataFolderError, match="damaged"):
        obtain(server, state, server.offers(THIEF))

    assert state.keys.read_text() == text_of_file


def test_a_file_of_keys_that_the_system_does_not_give_is_no_first_contact(
    server: Server, state: StateFolder
):
    state.keys.unlink()
    state.keys.mkdir()
    server.lists(key(THIEF))

    with pytest.raises(OSError, match=r"keys\.json"):
        obtain(server, state, server.offers(THIEF))

    assert not [seen.path for seen in server.hub.seen if seen.path.endswith("/signing-keys")]


def test_the_first_contact_is_believed(server: Server, state: StateFolder):
    state.keys.unlink()
    server.lists(key(OWNER))

    obtain(server, state, server.offers(OWNER))

    assert list(json.loads(state.keys.read_text())) == [key_id_of(public_key_of(OWNER))]


def test_a_key_that_was_retired_before_the_first_contact_is_not_trusted(
    server: Server, state: StateFolder
):
    """The owner's key took the place of one that was stolen, and the device begins anew."""
    state.keys.unlink()
    following = new_private_key()
    server.lists(key(THIEF, status="retired"), key(OWNER, endorsed_by=THIEF))
    obtain(server, state, server.offers(OWNER))
    server.lists(
        key(THIEF, status="retired"), key(OWNER, endorsed_by=THIEF),
        key(following, endorsed_by=THIEF),
    )  # fmt: skip

    with pytest.raises(DigestMismatchError, match="none of the keys"):
        obtain(server, state, server.offers(following, "gguf"))

    assert list(json.loads(state.keys.read_text())) == [key_id_of(public_key_of(OWNER))]


def test_what_a_retired_key_signed_comes_in_where_it_was_assigned_and_the_key_is_not_learnt(
    server: Server, state: StateFolder
):
    """A manifest is fetched by its digest, which a signed assignment names."""
    before = state.keys.read_bytes()
    retired = new_private_key()
    server.lists(key(retired, status="retired"), key(OWNER, endorsed_by=retired))

    folder = obtain(server, state, server.offers(retired))

    assert (folder / "onnx").read_bytes() == CONTENT
    assert state.keys.read_bytes() == before


def test_what_ran_last_is_found_without_reading_other_models(
    server: Server, state: StateFolder, monkeypatch: pytest.MonkeyPatch
):
    folder = obtain(server, state, server.offers(OWNER))
    for name in ("a", "m", "z"):
        (state.active / name).symlink_to(folder)
    (state.active / "gone").symlink_to(state.releases / ("0" * 64))
    looked_at: list[Path] = []

    def damaged(link: Path) -> str | None:
        looked_at.append(link)
        return damaged_part(link)

    monkeypatch.setattr("octomil.device.releases.damaged_part", damaged)
    with ApiClient(server.hub.url, None) as api:
        releases = Releases(state, api, Downloader(api))
        found = [releases.running("another"), releases.running("mnist")]

    assert found[0] is None
    assert found[1] is not None
    assert found[1].folder == folder.resolve()
    assert len(looked_at) == 1
