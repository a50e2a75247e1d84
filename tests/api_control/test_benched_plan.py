"""The plan that the bench of polls has polled: what it says is there, and stays."""

from collections import Counter

from bench.plans import MODELS, SHARES, plan_releases

from octomil.control.jobs.rollouts import steer
from octomil.control.plane import ControlPlane
from support.control import key_of
from support.rollouts import add_devices

DEVICES = 1_500
"""More than are counted one by one, as in the bench's fleet."""


async def test_every_device_is_told_of_all_models_and_shares_of_second_versions(
    plane: ControlPlane,
):
    key_of(plane)  # with its organisation
    ids = add_devices(plane.store, plane.clock(), DEVICES)
    planned = plan_releases(plane)
    before = plane.plans.of("default")

    plane.clock.advance(minutes=30)
    await steer(plane)

    plan = plane.plans.of("default")
    told = [plan.gist(each) for each in ids]
    second = Counter(name for gist in told for _, _, name, version, _ in gist if version != "1.0.0")
    assert {len(gist) for gist in told} == {MODELS}
    assert set(second) == {f"model-{number:02}" for number in range(len(SHARES))}
    assert (plan, plan.number, planned.running) == (before, planned.number, len(SHARES))
    assert str(planned) == "20 models, 5 rollouts under way"
