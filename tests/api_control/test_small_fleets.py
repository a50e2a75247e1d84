"""What a step of few devices waits for, over HTTP."""

from typing import Any

import httpx
import pytest

from octomil.control.jobs.catalog import write_stages
from octomil.control.jobs.rollouts import steer
from octomil.control.plane import ControlPlane
from octomil.rollouts.device_states import AWAITED
from support.control import API
from support.rollouts import Who, act, attest, shown, staged, take, those

FEW_MINUTES: dict[str, Any] = {"health_window_s": 30, "dwell_s": 60}


async def tell(
    client: httpx.AsyncClient, plane: ControlPlane, rollout: dict[str, Any], who: Who, stage: str
) -> None:
    """Let a device say how far it is, and have it written down."""
    body = {"model_id": rollout["model_id"], "digest": rollout["digest"], "stage": stage}
    answer = await client.post(f"{API}/devices/{who[0]}/stages", json=body, headers=who[1])
    assert answer.status_code == 200, answer.text
    await write_stages(plane)


@pytest.fixture
async def rollout(admin: httpx.AsyncClient, model: str, fleet: dict[str, Who]) -> dict[str, Any]:
    """One that is due for its next step as soon as all of the first are well."""
    made = await staged(admin, model, fleet, 10, 20, 60, **FEW_MINUTES)  # two at least
    await act(admin, made, "start")
    return made


async def share(client: httpx.AsyncClient, rollout: dict[str, Any]) -> float:
    return float((await shown(client, rollout))["rollout_percentage"])


async def test_a_step_of_few_waits_for_who_is_on_the_way(
    admin: httpx.AsyncClient, plane: ControlPlane, fleet: dict[str, Who], rollout: dict[str, Any]
):
    slow, *fast = those(rollout, fleet, 0, 20)
    await take(admin, rollout, fast)
    plane.clock.advance(seconds=60)
    await take(admin, rollout, fast)
    for stage in ("downloading", "verifying", "staged", "activating"):
        await tell(admin, plane, rollout, slow, stage)
        await steer(plane)
        assert await share(admin, rollout) == 20, stage

    (await attest(admin, slow, rollout)).raise_for_status()
    await steer(plane)
    assert await share(admin, rollout) == 20
    plane.clock.advance(seconds=30)
    (await attest(admin, slow, rollout)).raise_for_status()
    await steer(plane)

    assert await share(admin, rollout) == 60


async def test_a_step_of_few_waits_not_for_ever_for_who_hangs(
    admin: httpx.AsyncClient, plane: ControlPlane, fleet: dict[str, Who], rollout: dict[str, Any]
):
    slow, *fast = those(rollout, fleet, 0, 20)
    await take(admin, rollout, fast)
    plane.clock.advance(seconds=60)
    await take(admin, rollout, fast)
    await tell(admin, plane, rollout, slow, "downloading")

    plane.clock.advance(seconds=AWAITED.total_seconds() - 1)
    await steer(plane)
    assert await share(admin, rollout) == 20
    plane.clock.advance(seconds=1)
    await steer(plane)

    assert await share(admin, rollout) == 60
