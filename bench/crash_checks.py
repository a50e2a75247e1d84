"""What must hold of a control plane that was killed, whenever that was."""

import base64
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from bench.crash_clients import ALIAS, API, Client, Held, Memory, called, sha256_of
from octomil.compose_kept import open_audit, open_kept
from octomil.config import Settings
from octomil.control.data_folder import data_folder_at
from octomil.control.services.fsck import Fault, check_blobs
from octomil.registry.manifest import digest_of
from octomil.registry.signatures import verify

_PAGE = 1000
_NOTED = "SELECT count(*) FROM audit WHERE entry LIKE ?"
_ACTS = {
    "device.register": "SELECT count(*) FROM devices",
    "alias.move": "SELECT count(*) FROM alias_steps",
    "version.publish": "SELECT count(*) FROM version_manifests",
}
"""Each of these acts makes a row, which nothing here removes: neither is there alone."""


class ViolationError(Exception):
    """Something does not hold; the message says what."""


def check_all(folder: Path, api: httpx.Client, clients: Sequence[Client]) -> None:
    """Look at a control plane that has just started again, and at its folder.

    What clients were not told they know from then on.

    Raises:
        ViolationError: something was lost, is half there, or contradicts something else.
    """
    check_folder(folder)
    for client in clients:
        if client.memory.model:
            _check_client(api, client.memory)
        client.go_on(api)


def check_folder(folder: Path) -> None:
    """Look at a control plane's folder, which it may be using.

    Raises:
        ViolationError: the database, the audit or a file is damaged, or there is scratch.
    """
    opened = data_folder_at(folder)
    with closing(sqlite3.connect(f"{opened.database_path.as_uri()}?mode=ro", uri=True)) as rows:
        _hold(rows.execute("PRAGMA integrity_check").fetchall() == [("ok",)], "the database")
        for act, count in _ACTS.items():
            ((noted,),) = rows.execute(_NOTED, (f'%"operation":"{act}"%',))
            ((there,),) = rows.execute(count)
            _hold(noted == there, f"of {act} there are {noted} acts and {there} rows")
    with open_audit(Settings(), opened) as verdicts:
        for verdict in verdicts:
            _hold(verdict.problem is None, f"the audit: {verdict.problem}")
    with open_kept(Settings(), opened) as (store, blobs):
        found = check_blobs(store, blobs)
    _hold(found.is_sound, f"fsck: {found} {found.faults}")
    _hold(not any((opened.uploads / "scratch").iterdir()), "scratch is left over")


def check_nothing_is_left(folder: Path) -> None:
    """Look at a folder whose garbage was collected, with nothing under way.

    Raises:
        ViolationError: there are bytes that no row knows.
    """
    opened = data_folder_at(folder)
    spooled = sorted(path.name for path in opened.uploads.glob("*.part"))
    _hold(not spooled, f"of given up uploads there are {spooled}")
    with open_kept(Settings(), opened) as (store, blobs):
        unknown = check_blobs(store, blobs).faults[Fault.UNKNOWN]
    _hold(not unknown, f"nobody knows the blobs {unknown}")


def _check_client(api: httpx.Client, memory: Memory) -> None:
    listed = called(api, "GET", f"/models/{memory.model}/versions?limit={_PAGE}")["versions"]
    found = {str(each["version"]): each for each in listed}
    _settle_versions(memory, set(found))
    lost, extra = memory.versions.keys() - found, found.keys() - memory.versions
    _hold(not lost and not extra, f"of versions {sorted(lost)} are lost, {sorted(extra)} extra")
    for number, held in memory.versions.items():
        _check_version(api, memory, found[number], held)
    _check_alias(api, memory)
    memory.pending = None
    for name, device in memory.devices.items():
        shown = called(api, "GET", f"/devices/{device}")
        same = (shown["device_identifier"], shown["metadata"]) == (name, {"name": name})
        _hold(same, f"the device {name} is {shown}")


def _settle_versions(memory: Memory, found: set[str]) -> None:
    """Take note of a creation or a deletion that was not answered."""
    pending = memory.pending
    if pending is None:
        return
    if pending.kind == "create" and pending.number in found:
        memory.versions[pending.number] = Held(pending.content)
    if pending.kind == "delete" and pending.number not in found:
        del memory.versions[pending.number]
        memory.deleted.add(pending.number)


def _check_version(api: httpx.Client, memory: Memory, version: dict[str, Any], held: Held) -> None:
    number, pending = version["version"], memory.pending
    if pending is not None and (pending.kind, pending.number) == ("publish", number):
        held.is_published = version["status"] == "published"
    whole = ("published" if held.is_published else "ready", ["safetensors"])
    is_so = (version["status"], version["formats"])
    _hold(is_so == whole, f"{number} is {is_so}, not {whole}")
    content = api.get(f"{API}/models/{memory.model}/versions/{number}/download").content
    _hold(sha256_of(content) == sha256_of(held.content), f"the file of {number} is another")
    if held.is_published:
        _check_manifest(api, memory.model, version)


def _check_manifest(api: httpx.Client, model: str, version: dict[str, Any]) -> None:
    """A published version has a manifest that proves itself, of the file that it has."""
    keys = {each["keyid"]: base64.b64decode(each["public_key"])
            for each in called(api, "GET", "/signing-keys")["keys"]}  # fmt: skip
    signed = called(api, "GET", f"/models/{model}/versions/{version['version']}/manifest")
    payload = base64.b64decode(signed["payload"])
    _hold(bool(signed["signatures"]), f"nobody signed {version['version']}")
    for each in signed["signatures"]:
        proof = base64.b64decode(each["sig"])
        verify(keys[each["keyid"]], signed["payloadType"], payload, proof)
    same = digest_of(payload) == signed["digest"] == version["digest"]
    _hold(same, f"the manifest of {version['version']} has another digest")
    files = [(each["format"], each["digest"]) for each in version["files"]]
    told = [(name, each["digest"]) for name, each in signed["manifest"]["files"].items()]
    _hold(files == told, f"the manifest of {version['version']} tells of other files")


def _check_alias(api: httpx.Client, memory: Memory) -> None:
    """The alias went where it was acknowledged to go, step by step, and is at the last one."""
    path = f"/models/{memory.model}/aliases"
    steps = called(api, "GET", f"{path}/{ALIAS}/history?limit={_PAGE}")["history"][::-1]
    went = [each["version"] for each in steps]
    pending = memory.pending
    if pending is not None and pending.kind == "move" and went == [*memory.moves, pending.number]:
        memory.moves = went
    _hold(went == memory.moves, f"the alias went {went}, not {memory.moves}")
    revisions = [each["revision"] for each in steps]
    _hold(revisions == list(range(1, len(steps) + 1)), f"the alias has the revisions {revisions}")
    at = [each["version"] for each in called(api, "GET", path)["aliases"]]
    _hold(at == went[-1:], f"the alias is at {at}, not {went[-1:]}")


def _hold(holds: bool, what: str) -> None:
    if not holds:
        raise ViolationError(what)
