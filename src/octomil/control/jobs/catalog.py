"""Every job, and how often it runs. A new one is one function and one line here."""

from collections.abc import Mapping
from functools import partial

from octomil.control.jobs import webhooks
from octomil.control.jobs.rollouts import Steering
from octomil.control.jobs.timers import Job
from octomil.control.plane import ControlPlane
from octomil.control.services.access_tokens import REFRESHED_S
from octomil.control.services.garbage import COLLECTED_EVERY_S
from octomil.control.services.last_seen import FLUSHED_S
from octomil.control.services.leftovers import DROPPED_EVERY_S
from octomil.control.services.offers import REFRESHED_S as PLANNED_S
from octomil.control.services.orchestration import STEERED_S
from octomil.control.threads import NOBODYS


def jobs_of(plane: ControlPlane) -> Mapping[str, tuple[float, Job]]:
    """Return the jobs: name → (seconds between two runs, what to do)."""
    steering = Steering(plane)
    return {
        "write when devices were last seen": (FLUSHED_S, partial(write_last_seen, plane)),
        "write when keys were last used": (FLUSHED_S, partial(write_key_uses, plane)),
        "write how far devices are": (FLUSHED_S, partial(write_stages, plane)),
        "write where models were to run": (FLUSHED_S, partial(write_route_counts, plane)),
        "deliver to webhooks": (webhooks.EVERY_S, partial(webhooks.deliver, plane)),
        "collect garbage": (COLLECTED_EVERY_S, partial(collect_garbage, plane)),
        "drop what has ended": (DROPPED_EVERY_S, partial(drop_leftovers, plane)),
        "read what was revoked": (REFRESHED_S, partial(read_revocations, plane)),
        "steer rollouts": (STEERED_S, steering.look_sparingly),
        "send waves of rollouts": (STEERED_S, steering.send_sparingly),
        "read plans": (PLANNED_S, partial(read_plans, plane)),
    }


async def write_last_seen(plane: ControlPlane) -> None:
    """Write down who was here; what cannot be written now waits for the next time."""
    await plane.write_down(plane.last_seen)


async def write_key_uses(plane: ControlPlane) -> None:
    """Write down which keys were used; what cannot be written now waits for the next time."""
    await plane.write_down(plane.key_uses)


async def write_stages(plane: ControlPlane) -> None:
    """Write down how far devices are, a part at a time; other calls come in between."""
    while len(plane.stages):
        await plane.write_down(plane.stages)


async def write_route_counts(plane: ControlPlane) -> None:
    """Write down where models were to run; what cannot be written now waits for the next time."""
    await plane.write_down(plane.route_counts)


async def read_revocations(plane: ControlPlane) -> None:
    """Learn of revocations and signing secrets from other replicas."""
    await plane.threads.read(plane.access_tokens.refresh)


async def collect_garbage(plane: ControlPlane) -> None:
    """Remove abandoned uploads, and files that no version refers to."""
    await plane.threads.work(NOBODYS, plane.garbage.collect)


async def drop_leftovers(plane: ControlPlane) -> None:
    """Drop answers, deliveries, credentials, and what rollouts left, a few at a time."""
    while await plane.threads.write(plane.leftovers.drop_some):
        pass


async def read_plans(plane: ControlPlane) -> None:
    """Learn what other replicas tell devices to run."""
    await plane.threads.read(plane.offers.refresh)
