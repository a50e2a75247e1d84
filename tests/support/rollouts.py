"""Rollouts over HTTP, as the published client begins them and as devices answer to them."""

from collections.abc import Collection
from itertools import pairwise
from typing import Any

import httpx

from octomil.control.jobs.rollouts import steer
from octomil.control.plane import ControlPlane
from octomil.control.records import EMPTY_PROFILE, Device
from octomil.control.stores.sql import SqlStore
from octomil.rollouts.buckets import is_included
from support.control import API, bearer
from support.model_files import safetensors_file
from support.registry import sent

AT_ONCE: dict[str, Any] = {
    "rollout_percentage": 100, "start_immediately": True, "health_window_s": 0, "dwell_s": 0,
    "pacing": {"first_percentage": 100, "interval_s": 0},
}  # fmt: skip
"""To all devices, with nothing to wait for."""

IN_STEPS: dict[str, Any] = {
    "rollout_percentage": 20, "increment_step": 40, "dwell_s": 60, "health_window_s": 30,
    "pacing": {"first_percentage": 100},
}  # fmt: skip
"""20, 60, 100: each step is offered at once, and lasts a minute."""

Who = tuple[str, dict[str, str]]
"""A device's id, and the headers that prove it."""


async def published(client: httpx.AsyncClient, model_id: str, number: str) -> str:
    """Publish a version; returns its digest."""
    content = safetensors_file(w=[float(number[0])])
    assert (await sent(client, model_id, content, number)).status_code == 201
    answer = await client.post(f"{API}/models/{model_id}/versions/{number}/publish", json={})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["digest"])


async def begun(
    client: httpx.AsyncClient, model_id: str, version: str = "1.0.0", **changes: Any
) -> dict[str, Any]:
    """Begin a rollout."""
    body = {**AT_ONCE, "version": version, **changes}
    answer = await client.post(f"{API}/models/{model_id}/rollouts", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def device(client: httpx.AsyncClient, identifier: str = "box-1") -> Who:
    """Let a device in."""
    body = {"device_identifier": identifier, "scopes": ["devices:write", "models:read"]}
    tokens = (await client.post(f"{API}/device-auth/bootstrap", json=body)).json()
    return tokens["device_id"], bearer(tokens["access_token"])


async def assigned(client: httpx.AsyncClient, who: Who, known: int = 0) -> dict[str, Any]:
    """What a device is told that has the plan `known`."""
    path = f"{API}/devices/{who[0]}/assignments"
    answer = await client.get(path, headers=who[1], params={"config_version": str(known)})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def told(client: httpx.AsyncClient, who: Who) -> list[str]:
    """The versions that a device is told to run."""
    return [each["version"] for each in (await assigned(client, who))["assignments"]]


async def attest(
    client: httpx.AsyncClient, who: Who, rollout: dict[str, Any], **changes: Any
) -> httpx.Response:
    """Say that a device runs a rollout's version, or cannot."""
    body = {**{name: rollout[name] for name in ("model_id", "version", "digest")}, **changes}
    return await client.post(f"{API}/devices/{who[0]}/attestations", json=body, headers=who[1])


def path_of(rollout: dict[str, Any], *more: str) -> str:
    """Where a rollout is."""
    return "/".join([f"{API}/models/{rollout['model_id']}/rollouts/{rollout['id']}", *more])


async def shown(client: httpx.AsyncClient, rollout: dict[str, Any]) -> dict[str, Any]:
    """A rollout as it is now."""
    return dict((await client.get(path_of(rollout))).json())


async def history(client: httpx.AsyncClient, rollout: dict[str, Any]) -> list[dict[str, Any]]:
    """What happened to it."""
    answer = await client.get(path_of(rollout, "status-history"))
    assert answer.status_code == 200, answer.text
    return list(answer.json())


async def affected_by(client: httpx.AsyncClient, rollout: dict[str, Any]) -> list[dict[str, Any]]:
    """Where the first devices stand with it."""
    answer = await client.get(path_of(rollout, "affected-devices"))
    assert answer.status_code == 200, answer.text
    return list(answer.json()["devices"])


async def act(
    client: httpx.AsyncClient, rollout: dict[str, Any], verb: str, **body: Any
) -> httpx.Response:
    """Steer it."""
    return await client.post(path_of(rollout, verb), json=body)


def placed(rollout_id: str, ids: list[str], low: float, high: float) -> list[str]:
    """Those of some devices whose places are from one share of the fleet to another."""
    return [
        each
        for each in ids
        if is_included(rollout_id, each, high) and not is_included(rollout_id, each, low)
    ]


def add_devices(store: SqlStore, now: Any, number: int) -> list[str]:
    """Let many devices in that nobody speaks for; returns their ids."""
    ids = [f"dev_{each:05}" for each in range(number)]
    with store.transaction("default") as tx:
        for each in ids:
            made = Device(
                id=each, organisation="default", identifier=each, profile=EMPTY_PROFILE,
                generation=0, created_at=now, updated_at=now,
            )  # fmt: skip
            assert tx.devices.add(made)
    return ids


def those(rollout: dict[str, Any], fleet: dict[str, Who], low: float, high: float) -> list[Who]:
    """The devices from one share to another, some at least."""
    found = [fleet[each] for each in placed(rollout["id"], list(fleet), low, high)]
    assert found, "begin the rollout again: its place for devices is drawn by chance"
    return found


async def staged(
    admin: httpx.AsyncClient,
    model: str,
    fleet: Collection[str],
    *shares: float,
    **changes: Any,
) -> dict[str, Any]:
    """A rollout for whose shares there are devices; ids are drawn, and those that do not fit
    are thrown away before they are started."""
    bounds = [0.0, *shares]
    while True:
        made = await begun(admin, model, **{**IN_STEPS, **changes, "start_immediately": False})
        pairs = pairwise(bounds)
        if all(placed(made["id"], list(fleet), low, high) for low, high in pairs):
            return made
        await admin.delete(path_of(made))


async def take(admin: httpx.AsyncClient, rollout: dict[str, Any], whose: list[Who]) -> None:
    """Let devices run the version."""
    for who in whose:
        assert (await attest(admin, who, rollout)).status_code == 200


async def is_well(
    admin: httpx.AsyncClient, plane: ControlPlane, rollout: dict[str, Any], whose: list[Who]
) -> None:
    """Let devices run the version, and say again that they are well, their window being over."""
    await take(admin, rollout, whose)
    plane.clock.advance(seconds=60)
    await take(admin, rollout, whose)


async def everywhere(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
) -> None:
    """Let every device run 1.0.0, completed."""
    first = await begun(admin, model)
    await take(admin, first, list(fleet.values()))
    await steer(plane)
    assert (await shown(admin, first))["status"] == "completed"
