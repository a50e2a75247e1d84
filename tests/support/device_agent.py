"""A device whose control plane answers as told, and the answers that one gives."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from octomil.device.activation import LinkActivator
from octomil.device.agent import Agent
from octomil.device.pace import Pace
from octomil.device.probation import Trial
from octomil.device.releases import Releases
from octomil.device.session import Session
from octomil.device.state import Identity, StateFolder
from octomil.device.stopping import Stop
from octomil.registry.assignments import PAYLOAD_TYPE as ASSIGNMENT
from octomil.registry.assignments import statement
from octomil.registry.manifest import PAYLOAD_TYPE as MANIFEST
from octomil.registry.manifest import Manifest, ManifestFile, digest_of
from octomil.registry.signatures import key_id_of, public_key_of, sign
from octomil.sdk.downloads import Downloader
from support.device_keys import OWNER, text
from support.scripted import Answer, Script, problem

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CONTENT = b"weights"
FILES = {"onnx": ManifestFile(digest=f"sha256:{hashlib.sha256(CONTENT).hexdigest()}", size=7)}
PAYLOAD = Manifest(name="mnist", version="1.0.0", files=FILES, lineage=(), created="x").payload()
TOKENS = {
    "access_token": "new", "refresh_token": "r2", "token_type": "Bearer", "expires_in": 3600,
    "expires_at": "2026-11-21T13:00:00+00:00", "org_id": "default", "device_id": "dev_1",
    "device_identifier": "box-1", "scopes": ["devices:write"],
}  # fmt: skip
REFUSED = problem("unauthorized", 401)
REGISTERED = Answer({"id": "dev_1"})
LATER = {"Retry-After": "3600"}  # so long that nobody waits for it


def signature(kind: str, payload: bytes) -> dict[str, str]:
    sig = sign(OWNER, kind, payload)
    return {"keyid": key_id_of(public_key_of(OWNER)), "sig": text(sig)}


def offer(payload: bytes = PAYLOAD, model_id: str = "m", sequence: int = 3) -> dict[str, Any]:
    said = {"model_id": model_id, "name": "mnist", "version": "1.0.0", "digest": digest_of(payload)}
    signed = signature(ASSIGNMENT, statement(device_id="dev_1", **said, sequence=sequence))
    return {**said, "sequence": sequence, "signature": signed}


def plan(
    *offers: dict[str, Any], version: int = 3, updated: bool = True, held: Sequence[str] = ()
) -> Answer:
    """An answer to the question what to run; as before there was `held` where nothing is."""
    flags = dict.fromkeys(("updated", "assignments_changed", "rollouts_changed"), updated)
    named = {"held": held} if held else {}
    return Answer({**flags, "config_version": version, "assignments": offers, **named})


def told(payload: bytes = PAYLOAD, *, updated: bool = True) -> Answer:
    return plan(offer(payload), updated=updated)


def enveloped(payload: bytes = PAYLOAD) -> Answer:
    signatures = [signature(MANIFEST, payload)]
    shown = {"digest": digest_of(payload), "manifest": {}, "payloadType": MANIFEST}
    return Answer({**shown, "payload": text(payload), "signatures": signatures})


class Device:
    """An agent whose access token holds by its own clock."""

    def __init__(
        self,
        script: Script,
        state: StateFolder,
        activator: Callable[[StateFolder], LinkActivator] = LinkActivator,
        trial: Trial | None = None,
    ) -> None:
        base = f"{script.url}/api/v1"
        state.keep_identity(
            Identity(
                api_base=base, device_identifier="box-1", device_id="dev_1", access_token="old",
                refresh_token="r1", expires_at=NOW + timedelta(hours=1),
            )
        )  # fmt: skip
        self.session = Session(state, base, None, None, lambda: NOW)
        releases = Releases(state, self.session.api, Downloader(self.session.api))
        self.lines: list[str] = []
        self.stop = Stop()
        self.now_s = 0.0
        self.pace = Pace(poll_s=0.001)
        self.agent = Agent(
            self.session, releases, activator(state), say=self._say, pace=self.pace, trial=trial,
            clock=lambda: self.now_s,
        )  # fmt: skip

    def _say(self, line: str) -> None:
        self.lines.append(line)
        if "is the device" not in line and "fetching" not in line:
            self.stop.set()  # something was told that went right or wrong: enough was seen

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()


HEARD = Answer({})
LINK = Answer({"url": "/blob"})
NO_NEWS = told(updated=False)


def attested(script: Script) -> list[tuple[str, str]]:
    """The digests and how they are, in each attestation."""
    said = [asked.json for asked in script.asked if asked.path.endswith("/attestations")]
    return [(each["digest"], each["status"]) for each in said]
