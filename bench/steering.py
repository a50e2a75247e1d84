"""The real orchestrator over a real store: 100,000 simulated devices that attest by its services.

`bench.fleets` says what the devices are like, as for `bench.rollouts`; here a rollout is begun by
the documented call, words go through `AttestationService` into SQLite, and the job that steers
rollouts takes the steps. Only the clock is turned on. What a look costs is measured at the end.
"""

import asyncio
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from sqlalchemy import insert

from bench.fleets import TICK, Fleet, Step, World, device_ids
from bench.report import Budget, Row, median
from epochly.inference.statistics.intervals import BoolArray
from octomil.compose_control import DEFAULT_ORGANISATION, assemble
from octomil.control.jobs.rollouts import steer
from octomil.control.plane import ControlPlane
from octomil.control.records import Model, Organisation, Rollout, Version
from octomil.control.services.callers import ALL_SCOPES, Caller
from octomil.control.stores.attestations import attestations
from octomil.control.stores.device_table import devices
from octomil.registry.lifecycle import VersionState
from octomil.rollouts.bucket_arrays import places_of
from octomil.rollouts.states import RolloutState
from octomil.wire.rollouts import AttestationRequest, RolloutRequest

COVERS = ("octomil/rollouts", "octomil/control", "epochly/inference/statistics")

RUNS, DEVICES, QUICK_DEVICES = 8, 100_000, 5_000
FEW = 0.02
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_DIGESTS = {"1.0.0": "cd" * 32, "2.0.0": "ab" * 32}
_MOST_TICKS = 36
_LOOKS = 5


@dataclass(frozen=True, kw_only=True)
class Course:
    """How a rollout went: its end, the share that took the version, and what looks cost."""

    state: RolloutState
    took: float
    ticks: int
    look_ms: float


class Run:
    """One fleet, one data folder, one rollout of a bad version.

    Args:
        folder: where the database lies.
        world: what the devices are like.
        seed: draws the fleet.
    """

    def __init__(self, folder: Path, world: World, seed: int) -> None:
        self.now = BEGIN
        self.plane: ControlPlane = assemble(
            database_url=f"sqlite:///{folder}/octomil.sqlite3",
            blob_url=(folder / "blobs").as_uri(),
            uploads=folder / "uploads",
            clock=lambda: self.now,
        )
        self.fleet = Fleet(world, seed)
        self.ids = device_ids(world.devices)
        self._fill()
        self.now += timedelta(hours=1)
        self.rollout = self._begin()
        self.fleet.places = places_of(self.rollout.id, self.ids)
        self.step = Step(self.fleet, 0)

    def go(self) -> Course:
        """Let time pass until the rollout ends or pauses."""
        tick = 0
        for tick in range(1, _MOST_TICKS + 1):
            self._pass_tick(tick)
            asyncio.run(steer(self.plane))
            if self._present().state is not RolloutState.ACTIVE:
                break
        course = Course(
            state=self._present().state,
            took=float((self.fleet.taken >= 0).mean()),
            ticks=tick,
            look_ms=self._look_ms(),
        )
        self.plane.close()
        return course

    def _pass_tick(self, tick: int) -> None:
        fleet, before = self.fleet, self.fleet.is_over.copy()
        fleet.pass_tick(tick, self._present().progress.offered_percentage, is_offering=True)
        self.now += TICK
        reported = self.step.old_reported.copy()
        self.step.observe(tick)
        is_new = fleet.is_over & ~before
        ill = self.step.old_reported & ~reported & ~self.step.old_healthy
        with self.plane.store.group():
            self._attest("1.0.0", ill, is_active=False)
            self._attest("2.0.0", fleet.taken == tick, is_active=True)
            self._attest("2.0.0", is_new & fleet.says_well, is_active=True)
            self._attest("2.0.0", is_new & ~fleet.says_well, is_active=False)
        with self.plane.store.system() as tx:
            online = np.flatnonzero(fleet.online)
            tx.note_last_seen([(self.ids[each], self.now) for each in online])

    def _attest(self, number: str, who: BoolArray, *, is_active: bool) -> None:
        said = AttestationRequest(
            model_id="mdl_1",
            version=number,
            digest=f"sha256:{_DIGESTS[number]}",
            status="active" if is_active else "failed",
        )
        for each in np.flatnonzero(who):
            name = self.ids[each]
            caller = Caller(DEFAULT_ORGANISATION, f"device:{name}", (), device_id=name)
            self.plane.attestations.attest(caller, name, said)

    def _begin(self) -> Rollout:
        caller = Caller(DEFAULT_ORGANISATION, "key:bench", (ALL_SCOPES,))
        asked = RolloutRequest(version="2.0.0", rollout_percentage=10, start_immediately=True)
        return self.plane.rollouts.create(caller, "mdl_1", asked)

    def _present(self) -> Rollout:
        with self.plane.store.snapshot(DEFAULT_ORGANISATION) as tx:
            found = tx.rollouts.get("mdl_1", self.rollout.id)
        assert found is not None
        return found

    def _look_ms(self) -> float:
        """What one look costs, at best of some: the devices' words are read and weighed."""
        from octomil.control.services.observations import observed

        best_s = float("inf")
        for _ in range(_LOOKS):
            began_s = perf_counter()
            with self.plane.store.snapshot(DEFAULT_ORGANISATION) as tx:
                observed(tx, self.rollout, self.now)
            best_s = min(best_s, perf_counter() - began_s)
        return 1e3 * best_s

    def _fill(self) -> None:
        """Let all devices run 1.0.0, those that were healthy; in bulk, as the port adds singly."""
        own: dict[str, Any] = {"organisation": DEFAULT_ORGANISATION}
        dates: dict[str, Any] = {"created_at": BEGIN, "updated_at": BEGIN}
        blank = {"metadata": {}, "capabilities": {}, "labels": {}, "groups": [], "generation": 0}
        said = {
            "model_id": "mdl_1", "number": "1.0.0", "digest": _DIGESTS["1.0.0"], "message": None,
            "attested_at": BEGIN, "since": BEGIN,
        }  # fmt: skip
        with self.plane.store.system() as system:
            system.add_organisation(
                Organisation(id=own["organisation"], name="d", created_at=BEGIN)
            )
        with self.plane.store.transaction(DEFAULT_ORGANISATION) as tx:
            assert tx.models.add(Model(id="mdl_1", name="net", metadata={}, **own, **dates))
            for number, digest in _DIGESTS.items():
                made = Version(
                    id=f"ver_{number}", model_id="mdl_1", number=number, digest=digest,
                    state=VersionState.PUBLISHED, metrics={}, **own, **dates,
                )  # fmt: skip
                assert tx.versions.add(made)
            rows = [{"id": each, "identifier": each, **own, **dates, **blank} for each in self.ids]
            tx.connection.execute(insert(devices), rows)  # type: ignore[attr-defined]
            words = [
                {"device_id": each, "is_active": bool(healthy), **own, **said}
                for each, healthy in zip(self.ids, self.fleet.was_healthy, strict=True)
            ]
            tx.connection.execute(insert(attestations), words)  # type: ignore[attr-defined]


def run(quick: bool) -> list[Row]:
    """Roll a bad version out again and again; a quick run does it once, in a smaller fleet."""
    world = World(devices=QUICK_DEVICES if quick else DEVICES, extra_failures=0.05)
    found = [course(world, seed) for seed in range(1 if quick else RUNS)]
    caught = sum(each.state is RolloutState.ROLLED_BACK and each.took <= FEW for each in found)
    took = [100 * each.took for each in found]
    minutes = median([each.ticks * TICK.total_seconds() / 60 for each in found])
    looks = [each.look_ms for each in found]
    return [
        Row(
            metric=f"+5 points of failing devices, in the control plane, caught below {FEW:.0%}",
            unit="%",
            ours=100 * caught / len(found),
            higher_is_better=True,
            budget=None if quick else Budget("ours", "at least", 95),
            note=(
                f"{len(found)} runs of {world.devices:,} devices; at most {max(took):.2f} % had "
                f"taken it; median {minutes:.0f} minutes"
            ),
        ),
        Row(
            metric="a look at a rollout",
            unit="ms",
            ours=median(looks),
            budget=Budget("ours", "at most", 1_000),
            note=f"at its end, over {world.devices:,} devices",
        ),
    ]


def course(world: World, seed: int) -> Course:
    """Roll a bad version out to one fleet."""
    with tempfile.TemporaryDirectory(prefix="octomil-bench") as folder:
        return Run(Path(folder), world, seed).go()
