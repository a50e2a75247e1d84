"""The real orchestrator over a real store: 100,000 simulated devices that attest by its services.

`bench.fleets` says what the devices are like, as for `bench.rollouts`; here a rollout is begun by
the documented call, words go through `AttestationService` into SQLite, and the job that steers
rollouts takes the steps, once it found the version's file among the blobs. Only the clock is turned
on. Of some good versions the file is deleted on the way. What a look costs is measured at the end.
"""

import asyncio
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from rich.progress import track
from sqlalchemy import insert

from bench.fleets import TICK, Fleet, Step, World, device_ids
from bench.process import BenchError
from bench.report import Budget, Row, median
from bench.rollout_checks import wrong_of, wrong_of_lost
from bench.version_files import add_published, kept_file
from epochly.inference.statistics.intervals import BoolArray
from octomil.compose_control import DEFAULT_ORGANISATION, assemble
from octomil.control.jobs.rollouts import steer
from octomil.control.plane import ControlPlane
from octomil.control.records import Model, Organisation, Rollout, VersionFile
from octomil.control.services.callers import ALL_SCOPES, Caller
from octomil.control.stores.attestations import attestations
from octomil.control.stores.device_table import devices
from octomil.rollouts.bucket_arrays import places_of
from octomil.rollouts.states import RolloutState, Transition
from octomil.wire.rollouts import AttestationRequest, RolloutRequest

COVERS = ("octomil/rollouts", "octomil/control", "epochly/inference/statistics")

RUNS, LOST_RUNS, DEVICES, QUICK_DEVICES = 8, 3, 100_000, 5_000
FEW = 0.02
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_DIGESTS = {"1.0.0": "cd" * 32, "2.0.0": "ab" * 32}
_MOST_TICKS = 36
_LATEST_LOSS = 6  # ticks; the first step lasts longer, and the fleet reports on no other
_LOOKS = 5
_ALL = 10_000


@dataclass(frozen=True, kw_only=True)
class Course:
    """How a rollout went.

    Attributes:
        took: share of the fleet that had taken the version at its end.
        sent: share that was offered it when its file was lost, in percent; None if it was not.
        look_ms: what a look cost at its end.
    """

    devices: int
    state: RolloutState
    took: float
    ticks: int
    sent: float | None
    history: Sequence[Transition]
    look_ms: float

    @property
    def failed_in_time(self) -> bool:
        """Whether it failed for its file, and sent nobody for it any more."""
        end = self.history[-1].after
        return self.state is RolloutState.FAILED and end.offered_percentage == self.sent


class Run:
    """One fleet, one data folder, one rollout.

    Args:
        folder: where the database lies.
        world: what the devices are like.
        seed: draws the fleet.
        lost_at: the tick at which the new version's file is deleted; None if it stays.
    """

    def __init__(self, folder: Path, world: World, seed: int, lost_at: int | None = None) -> None:
        self.now = BEGIN
        self.lost_at = lost_at
        self.plane: ControlPlane = assemble(
            database_url=f"sqlite:///{folder}/octomil.sqlite3",
            blob_url=(folder / "blobs").as_uri(),
            uploads=folder / "uploads",
            clock=lambda: self.now,
        )
        self.fleet = Fleet(world, seed)
        self.ids = device_ids(world.devices)
        self.files = {
            number: kept_file(self.plane, folder, f"weights of {number}".encode(), BEGIN)
            for number in _DIGESTS
        }
        self._fill()
        self.now += timedelta(hours=1)
        self.rollout = self._begin()
        self.fleet.places = places_of(self.rollout.id, self.ids)
        self.step = Step(self.fleet, 0)

    def go(self) -> Course:
        """Let time pass until the rollout ends or pauses.

        Raises:
            BenchError: something is stored that must not be so.
        """
        tick, sent = 0, None
        for tick in range(1, _MOST_TICKS + 1):
            self._pass_tick(tick)
            if tick == self.lost_at:
                self.plane.blobs.delete(self._new_file.digest)
                sent = self._present().progress.offered_percentage
            asyncio.run(steer(self.plane))
            if self._present().state is not RolloutState.ACTIVE:
                break
        course = Course(
            devices=self.fleet.world.devices,
            state=self._present().state,
            took=float((self.fleet.taken >= 0).mean()),
            ticks=tick,
            sent=sent,
            history=self._checked_history(None if sent is None else self._new_file.digest),
            look_ms=self._look_ms(),
        )
        self.plane.close()
        return course

    @property
    def _new_file(self) -> VersionFile:
        return self.files["2.0.0"]

    def _checked_history(self, lost: str | None) -> Sequence[Transition]:
        with self.plane.store.snapshot(DEFAULT_ORGANISATION) as tx:
            acts = [each.entry for each in reversed(tx.audit.page(None, _ALL))]
            history = tx.rollouts.history(self.rollout.id, limit=_ALL)
            wrong = [*wrong_of(tx, self._present(), acts), *wrong_of_lost(history, lost)]
        wrong += [
            f"the file {file.digest} is gone, and nobody took it away"
            for file in self.files.values()
            if file.digest != lost and self.plane.blobs.size(file.digest) != file.size_bytes
        ]
        if wrong:
            raise BenchError("; ".join(wrong))
        return history

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
                add_published(tx, "mdl_1", number, digest, self.files[number])
            rows = [{"id": each, "identifier": each, **own, **dates, **blank} for each in self.ids]
            # By the connection of the store, for the port adds one at a time.
            tx.connection.execute(insert(devices), rows)  # type: ignore[attr-defined]
            words = [
                {"device_id": each, "is_active": bool(healthy), **own, **said}
                for each, healthy in zip(self.ids, self.fleet.was_healthy, strict=True)
            ]
            tx.connection.execute(insert(attestations), words)  # type: ignore[attr-defined]  # likewise


def run(quick: bool) -> list[Row]:
    """Roll bad versions out, and good ones that lose their file; quickly, one of each to few."""
    devices = QUICK_DEVICES if quick else DEVICES
    bad = World(devices=devices, extra_failures=0.05)
    found = [course(bad, seed) for seed in track(range(1 if quick else RUNS), "bad versions")]
    chance = random.Random(LOST_RUNS)
    losses = [chance.randint(1, _LATEST_LOSS) for _ in range(1 if quick else LOST_RUNS)]
    lost = [
        course(World(devices=devices), seed, lost_at)
        for seed, lost_at in enumerate(track(losses, "lost files"))
    ]
    return [*_of_bad(found, None if quick else Budget("ours", "at least", 95)), _of_lost(lost)]


def _of_bad(found: Sequence[Course], budget: Budget | None) -> list[Row]:
    caught = sum(each.state is RolloutState.ROLLED_BACK and each.took <= FEW for each in found)
    took = [100 * each.took for each in found]
    minutes = median([each.ticks * TICK.total_seconds() / 60 for each in found])
    devices = found[0].devices
    return [
        Row(
            metric=f"+5 points of failing devices, in the control plane, caught below {FEW:.0%}",
            unit="%",
            ours=100 * caught / len(found),
            higher_is_better=True,
            budget=budget,
            note=(
                f"{len(found)} runs of {devices:,} devices; at most {max(took):.2f} % had "
                f"taken it; median {minutes:.0f} minutes"
            ),
        ),
        Row(
            metric="a look at a rollout",
            unit="ms",
            ours=median([each.look_ms for each in found]),
            budget=Budget("ours", "at most", 1_000),
            note=f"at its end, over {devices:,} devices",
        ),
    ]


def _of_lost(found: Sequence[Course]) -> Row:
    in_time = sum(each.failed_in_time for each in found)
    sent = sorted(each.sent for each in found if each.sent is not None)
    return Row(
        metric="good version whose file is lost, failed, and nobody more was sent for it",
        unit="%",
        ours=100 * in_time / len(found),
        higher_is_better=True,
        budget=Budget("ours", "at least", 100),
        note=(
            f"{len(found)} runs of {found[0].devices:,} devices; when it was lost, the version was "
            f"offered to {sent[0]:g} to {sent[-1]:g} %"
        ),
    )


def course(world: World, seed: int, lost_at: int | None = None) -> Course:
    """Roll a version out to one fleet."""
    with tempfile.TemporaryDirectory(prefix="octomil-bench") as folder:
        return Run(Path(folder), world, seed, lost_at).go()
