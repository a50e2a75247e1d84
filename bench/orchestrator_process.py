"""`python -m bench.orchestrator_process FOLDER POINT NTH SEED`: rollouts, until it dies at a point.

One rollout after another of new versions to a few devices that attest them; a person pauses and
resumes. Some versions are bad, and of some the file is lost once the rollout has begun. The folder
is gone on with as it was left. It ends with 3 if the point was not met.
"""

import asyncio
import random
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.crash_points import Point, When
from bench.dying import Fate, put_point
from bench.version_files import add_published, kept_file
from octomil.compose_control import DEFAULT_ORGANISATION, assemble
from octomil.control.jobs.rollouts import steer
from octomil.control.plane import ControlPlane
from octomil.control.ports import Clock
from octomil.control.records import EMPTY_PROFILE, Device, Model, Organisation, Rollout, VersionFile
from octomil.control.services.callers import ALL_SCOPES, Caller
from octomil.rollouts.buckets import is_included
from octomil.rollouts.states import RolloutState
from octomil.wire.rollouts import AttestationRequest, AttestedStatus, PacingRequest, RolloutRequest

MODEL = "mdl_1"
NOT_MET = 3

_SERVICES, _STORES = "octomil.control.services", "octomil.control.stores"
_TAKE = f"{_SERVICES}.orchestration:take"
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_TURNS, _TICK = 400, timedelta(seconds=40)
_NAMES = tuple(f"dev_{number}" for number in range(12))
_PERSON = Caller(DEFAULT_ORGANISATION, "key:bench", (ALL_SCOPES,))

POINTS = {
    "look.observed": Point(target=f"{_SERVICES}.observations:observed", when=When.AFTER),
    "look.decided": Point(target="octomil.rollouts.controller:decide", when=When.AFTER),
    "files.asked-before-told": Point(
        target=f"{_SERVICES}.wave_files:WaveFiles.ask", when=When.AFTER
    ),
    "files.lost-before-take": Point(target="octomil.rollouts.commands:fail", when=When.AFTER),
    "take.begun": Point(target=_TAKE, when=When.BEFORE),
    "take.changed-before-history": Point(
        target=f"{_STORES}.rollouts:RolloutRows._change", when=When.AFTER
    ),
    "take.history-before-audit": Point(
        target=f"{_STORES}.rollouts:RolloutRows.take", when=When.AFTER
    ),
    "take.blocked-before-audit": Point(target=f"{_STORES}.rulings:RulingRows.add", when=When.AFTER),
    "take.noted-before-commit": Point(target=_TAKE, when=When.AFTER),
    "take.committed-before-told": Point(
        target=f"{_SERVICES}.orchestration:Orchestrator.take", when=When.AFTER
    ),
    "offers.told-before-read": Point(target=f"{_SERVICES}.offers:Offers.refresh", when=When.BEFORE),
    "device.moved-before-commit": Point(
        target=f"{_STORES}.rollout_devices:RolloutDeviceRows.put", when=When.AFTER
    ),
}
"""Name to place. A new one is one line here."""

ANY_STATEMENT = "any statement"
RANDOM = {
    ANY_STATEMENT: Point(
        target="sqlalchemy.engine.default:DefaultDialect.do_execute", when=When.BEFORE
    )
}
"""Met thousands of times: which time is drawn."""


@dataclass
class Life:
    """What happens in a folder from one kill to the next; the clock goes on where it was."""

    folder: Path
    chance: random.Random
    now: datetime = field(default=_BEGIN)

    def __post_init__(self) -> None:
        self.plane: ControlPlane = open_plane(self.folder, lambda: self.now)
        with self.plane.store.system() as system:
            is_new = system.add_organisation(
                Organisation(id=DEFAULT_ORGANISATION, name="bench", created_at=_BEGIN)
            )
        if is_new:
            self._fill()
        with self.plane.store.snapshot(DEFAULT_ORGANISATION) as tx:
            for each in tx.rollouts.list(MODEL, None, limit=1):
                times = (each.created_at, each.progress.widened_at or each.created_at)
                self.now = max(times) + _TICK

    def go_on(self, turns: int) -> None:
        """Let orchestrator, devices and a person act in turn."""
        for _ in range(turns):
            self.now += _TICK
            rollout = self._newest()
            if rollout is None or not rollout.state.is_open:
                rollout = self._begin()
            if loses_its_file(rollout):
                self.plane.blobs.delete(file_of(self.plane, rollout).digest)
            self._speak(rollout)
            asyncio.run(steer(self.plane))
            self._meddle()

    def _newest(self) -> Rollout | None:
        with self.plane.store.snapshot(DEFAULT_ORGANISATION) as tx:
            return next(iter(tx.rollouts.list(MODEL, None, limit=1)), None)

    def _begin(self) -> Rollout:
        """Begin the rollout of a version that is not there yet; by its number it is good or bad.

        The devices go back to what they ran at first: who was broken before is no evidence.
        """
        for name in _NAMES:
            self._attest(name, "0.0.0", "0" * 64, "active")
        self.now += _TICK
        with self.plane.store.transaction(DEFAULT_ORGANISATION) as tx:
            ordinal = tx.rollouts.next_ordinal(MODEL)
            number = f"{ordinal}.0.0"
            if tx.versions.hold(MODEL, number) is None:
                file = kept_file(self.plane, self.folder, f"weights {ordinal}".encode(), self.now)
                add_published(tx, MODEL, number, f"{ordinal:064x}", file)
        asked = RolloutRequest(
            version=number, rollout_percentage=20, increment_step=40, start_immediately=True,
            health_window_s=30, dwell_s=60,
            pacing=PacingRequest(first_percentage=10, interval_s=60),
        )  # fmt: skip
        return self.plane.rollouts.create(_PERSON, MODEL, asked)

    def _speak(self, rollout: Rollout) -> None:
        status: AttestedStatus = "failed" if is_bad(rollout) else "active"
        for name in _NAMES:
            if is_included(rollout.id, name, rollout.progress.offered_percentage):
                self._attest(name, rollout.number, rollout.digest, status)

    def _attest(self, name: str, number: str, digest: str, status: AttestedStatus) -> None:
        said = AttestationRequest(
            model_id=MODEL, version=number, digest=f"sha256:{digest}", status=status
        )
        caller = Caller(DEFAULT_ORGANISATION, f"device:{name}", (), device_id=name)
        attest = self.plane.attestations.attest
        asyncio.run(self.plane.threads.write(attest, caller, name, said))

    def _meddle(self) -> None:
        rollout = self._newest()
        if rollout is None:
            return
        if rollout.state is RolloutState.PAUSED:
            self.plane.rollouts.resume(_PERSON, MODEL, rollout.id, "go on")
        elif rollout.state is RolloutState.ACTIVE and self.chance.random() < 0.1:
            self.plane.rollouts.pause(_PERSON, MODEL, rollout.id, "let me look")

    def _fill(self) -> None:
        own = DEFAULT_ORGANISATION
        dates: dict[str, Any] = {"created_at": _BEGIN, "updated_at": _BEGIN}
        with self.plane.store.transaction(own) as tx:
            model = Model(id=MODEL, organisation=own, name="net", metadata={}, **dates)
            assert tx.models.add(model)
            for name in _NAMES:
                made = Device(
                    id=name, organisation=own, identifier=name, profile=EMPTY_PROFILE,
                    generation=0, **dates,
                )  # fmt: skip
                assert tx.devices.add(made)


def is_bad(rollout: Rollout) -> bool:
    """Tell whether no device can run a rollout's version."""
    return rollout.ordinal % 3 == 0


def loses_its_file(rollout: Rollout) -> bool:
    """Tell whether the file of a rollout's version is lost once the rollout has begun."""
    return rollout.ordinal % 4 == 2


def file_of(plane: ControlPlane, rollout: Rollout) -> VersionFile:
    """Return the file of a rollout's version."""
    (file,) = plane.wave_files.needed(rollout)
    return file


def open_plane(folder: Path, clock: Clock) -> ControlPlane:
    """A control plane over a folder's SQLite, with another clock."""
    return assemble(
        database_url=f"sqlite:///{folder}/octomil.sqlite3",
        blob_url=(folder / "blobs").as_uri(),
        uploads=folder / "uploads",
        clock=clock,
    )


def main() -> int:
    folder, point, nth, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
    fate = Fate(nth)
    put_point((POINTS | RANDOM)[point], fate)
    life = Life(folder, random.Random(seed))
    fate.armed.set()
    life.go_on(_TURNS)
    return NOT_MET


if __name__ == "__main__":
    sys.exit(main())
