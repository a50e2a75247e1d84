"""Two orchestrators, a person and devices, interleaved on one rollout as a schedule draws.

The orchestrators are real, over one real SQLite file, each run by the job that steers rollouts; the
person gives commands through the service, and the devices attest what they run. Each is suspended
before statements and commits, around transactions, and when the blob store has answered
(`bench.stops`): meanwhile others change what it looked at. Clocks differ, an orchestrator may be
killed wherever it is suspended, and of some versions the file is lost.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from bench.rollout_checks import wrong_of, wrong_of_lost
from bench.stops import (
    ANSWERED,
    READING,
    WRITING,
    WRITTEN,
    HereAndNow,
    StoppingStore,
    run_through,
)
from bench.troubles import reported
from bench.turns import Actor, present_actor
from bench.version_files import add_published, kept_file
from octomil.compose_control import DEFAULT_ORGANISATION, assemble
from octomil.control.jobs.rollouts import steer
from octomil.control.ports import Transaction
from octomil.control.records import EMPTY_PROFILE, Attestation, Device, Model, Organisation, Rollout
from octomil.control.services.attestations import AttestationService
from octomil.control.services.callers import ALL_SCOPES, Caller
from octomil.control.services.ended_rollouts import EndedRollouts
from octomil.control.services.last_seen import LastSeen
from octomil.control.services.orchestration import Orchestrator
from octomil.control.services.rollouts import RolloutService
from octomil.control.services.wave_files import WaveFiles
from octomil.errors import BadRequestError, ConflictError
from octomil.rollouts.plan import Pacing, Plan
from octomil.rollouts.states import Transition
from octomil.wire.rollouts import AdvanceRequest, AttestationRequest, PercentageRequest

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PLAN = Plan(
    rollout_percentage=50,
    increment_step=50,
    health_window_s=20,
    dwell_s=40,
    patience_s=1_200,
    pacing=Pacing(first_percentage=25, interval_s=30),
)

_SKEW_S = 20
_TURNS = 120
_TURNS_AFTER = 15
"""So long they go on once the rollout is over."""
_PASSES = {READING: 0.85, WRITING: 0.7, WRITTEN: 0.3, ANSWERED: 0.6}
"""How probable it is that an actor is not suspended at a stop, so that it gets somewhere."""
_DIES = 0.03
_NAMES = tuple(f"dev_{number}" for number in range(6))
_PERSON = Caller(DEFAULT_ORGANISATION, "key:bench", (ALL_SCOPES,))


@dataclass
class Found:
    """What schedules came to.

    Attributes:
        wrong: what must not be so, with the seed.
        lost: transitions of orchestrators that came too late, and had no effect.
        refused: commands that the rollout could not follow from where it stood.
        ends: where the rollouts stood at the end.
        kills: orchestrators killed, by where they were suspended.
        taken: the transitions that took effect.
    """

    schedules: int = 0
    wrong: list[str] = field(default_factory=list)
    lost: int = 0
    refused: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Found") -> None:
        """Add what others came to."""
        self.schedules += other.schedules
        self.wrong += other.wrong
        self.lost += other.lost
        self.refused += other.refused
        self.ends.update(other.ends)
        self.kills.update(other.kills)
        self.taken.update(other.taken)


class Place:
    """Where schedules are run, one after the other: a database, and files.

    Args:
        folder: empty.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = BEGIN
        self.draw = random.Random()
        database = folder / "octomil.sqlite3"
        self.plane = assemble(
            database_url=f"sqlite:///{database}",
            blob_url=(folder / "blobs").as_uri(),
            uploads=folder / "uploads",
            clock=lambda: self.now,
        )
        self.store = StoppingStore(database, lambda at: self.draw.random() < _PASSES[at])
        with self.plane.store.system() as system:
            own = Organisation(id=DEFAULT_ORGANISATION, name="bench", created_at=BEGIN)
            assert system.add_organisation(own)
        with self.plane.store.transaction(DEFAULT_ORGANISATION) as tx:
            for name in _NAMES:
                made = Device(
                    id=name, organisation=DEFAULT_ORGANISATION, identifier=name, generation=0,
                    profile=EMPTY_PROFILE, created_at=BEGIN, updated_at=BEGIN,
                )  # fmt: skip
                assert tx.devices.add(made)

    def close(self) -> None:
        self.store.close()
        self.plane.close()


class Schedule:
    """One run on one rollout: who acts when, by its seed.

    Args:
        place: where; nothing is under way there.
        seed: of all that is drawn.

    Attributes:
        lost_at: the turn before which the version's file is lost; None if it is not.
        history: of the rollout, once it ran.
    """

    def __init__(self, place: Place, seed: int) -> None:
        self.place, self.seed = place, seed
        self.found = Found(schedules=1)
        self.draw = place.draw = random.Random(seed)
        place.now = BEGIN
        self.is_over = False
        self.history: Sequence[Transition] = ()
        self.is_bad = self.draw.random() < 0.2
        self.lost_at = self.draw.randrange(_TURNS) if self.draw.random() < 0.25 else None
        self.file = kept_file(place.plane, place.folder, f"weights {seed}".encode(), BEGIN)
        self.rollout = Rollout(
            id=f"rol_{seed}", organisation=DEFAULT_ORGANISATION, model_id=f"mdl_{seed}", ordinal=1,
            version_id=f"ver_mdl_{seed}_2.0.0", number="2.0.0", digest=f"{seed:064x}", plan=PLAN,
            created_at=BEGIN,
        )  # fmt: skip
        with place.plane.store.transaction(DEFAULT_ORGANISATION) as tx:
            self._fill(tx)
        self.rollouts = RolloutService(place.store, self._clock)
        self.rollouts.start(_PERSON, self.rollout.model_id, self.rollout.id)
        last_seen = LastSeen(place.store, self._clock, lambda tx, seen: tx.note_last_seen(seen))
        self.attestations = AttestationService(place.store, self._clock, last_seen)

    def run(self) -> None:
        """Let them all act, and look at what came of it."""
        orchestrators = [self._orchestrator(), self._orchestrator()]
        others = [Actor(self._command), Actor(self._attest)]
        with reported() as troubles:
            try:
                self._take_turns(orchestrators, others)
            finally:
                for actor in (*orchestrators, *others):
                    actor.kill()
        with self.place.plane.store.snapshot(DEFAULT_ORGANISATION) as tx:
            self._judge(tx)
        self.found.wrong += [f"seed {self.seed}: {each}" for each in troubles]
        self.place.plane.rollouts.delete(
            _PERSON, self.rollout.model_id, self.rollout.id, force=True
        )

    def _take_turns(self, orchestrators: list[Actor], others: list[Actor]) -> None:
        over = 0
        for turn in range(_TURNS):
            over += self.is_over
            if over > _TURNS_AFTER:
                break
            if turn == self.lost_at:
                self.place.plane.blobs.delete(self.file.digest)
            actors = [*orchestrators, *others]
            ready = [each for each in actors if not self.place.store.keeps_waiting(each)]
            actor = self.draw.choice(ready)
            if actor in orchestrators and self.draw.random() < _DIES:
                actor.kill()
                self.found.kills[actor.at] += 1
                orchestrators[orchestrators.index(actor)] = self._orchestrator()
            else:
                actor.resume()
            self.place.now += timedelta(seconds=self.draw.choice((0, 0, 5, 20, 60)))

    def _orchestrator(self) -> Actor:
        """A replica that just began: what it knows is in the store."""
        place, skew = self.place, timedelta(seconds=self.draw.uniform(-_SKEW_S, _SKEW_S))

        def clock() -> datetime:
            return place.now + skew

        orchestrator = Counting(place.store, clock, self.found)
        plane = replace(
            place.plane,
            clock=clock,
            store=place.store,
            threads=HereAndNow(place.store, orchestrator.note_answer),
            orchestrator=orchestrator,
            wave_files=WaveFiles(place.store, place.plane.blobs, clock),
            ended_rollouts=EndedRollouts(place.store, clock),
        )

        def work() -> None:
            while True:
                run_through(steer(plane))

        return Actor(work)

    def _command(self) -> None:
        """What a person does: now and then, and not always what makes sense."""
        who = (_PERSON, self.rollout.model_id, self.rollout.id)
        rollouts, draw = self.rollouts, self.draw
        while True:
            share = PercentageRequest(percentage=draw.choice((10, 30, 50, 100)))
            step = AdvanceRequest(custom_increment=draw.choice((None, 10)))
            commands: list[Callable[[], object]] = [
                idle,
                partial(rollouts.pause, *who),
                partial(rollouts.advance, *who, step),
                partial(rollouts.set_percentage, *who, share),
                partial(rollouts.resume, *who),
                partial(rollouts.roll_back, *who),
            ]
            (command,) = draw.choices(commands, weights=(16, 2, 1, 1, 6, 0.2))
            try:
                command()
            except (ConflictError, BadRequestError):
                self.found.refused += 1

    def _attest(self) -> None:
        """What the devices say that are offered the version."""
        while True:
            name = self.draw.choice(_NAMES)
            with self.place.store.snapshot(DEFAULT_ORGANISATION) as tx:
                present = tx.rollouts.get(self.rollout.model_id, self.rollout.id)
            assert present is not None
            self.is_over = not present.state.is_open
            if not present.offers(name):
                continue
            said = AttestationRequest(
                model_id=present.model_id,
                version=present.number,
                digest=f"sha256:{present.digest}",
                status="failed" if self.is_bad else "active",
            )
            caller = Caller(DEFAULT_ORGANISATION, f"device:{name}", (), device_id=name)
            self.attestations.attest(caller, name, said)

    def _judge(self, tx: Transaction) -> None:
        rollout = tx.rollouts.get(self.rollout.model_id, self.rollout.id)
        assert rollout is not None
        acts = [
            each.entry
            for each in tx.audit.page(None, _TURNS)
            if each.entry["target"] == self.rollout.id
        ]
        self.history = history = tx.rollouts.history(rollout.id, limit=_TURNS)
        lost = None if self.lost_at is None else self.file.digest
        wrong = [*wrong_of(tx, rollout, reversed(acts)), *wrong_of_lost(history, lost)]
        self.found.wrong += [f"seed {self.seed}: {each}" for each in wrong]
        self.found.ends[rollout.state.value] += 1
        self.found.taken.update(each.action.value for each in history)

    def _clock(self) -> datetime:
        return self.place.now

    def _fill(self, tx: Transaction) -> None:
        """Add a model, a version of it, and a rollout to devices that run another one well."""
        own: dict[str, Any] = {"organisation": DEFAULT_ORGANISATION}
        dated = own | {"created_at": BEGIN, "updated_at": BEGIN}
        model_id = self.rollout.model_id
        assert tx.models.add(Model(id=model_id, name=model_id, metadata={}, **dated))
        add_published(tx, model_id, self.rollout.number, self.rollout.digest, self.file)
        assert tx.rollouts.add(self.rollout)
        for name in _NAMES:
            well = Attestation(
                device_id=name, model_id=model_id, number="1.0.0", digest="f" * 64, message=None,
                is_active=True, attested_at=BEGIN, since=BEGIN, **own,
            )  # fmt: skip
            tx.attestations.put(well)


def idle() -> None:
    """Let others act."""
    actor = present_actor()
    assert actor is not None
    actor.stop("idle")


class Counting(Orchestrator):
    """An orchestrator that tells how often another one was faster, or a person.

    It tells, too, of a wave that was decided on before the blob store had answered: by then devices
    may have failed.
    """

    def __init__(self, store: StoppingStore, clock: Callable[[], datetime], found: Found) -> None:
        super().__init__(store, clock)
        self._found = found
        self._answered_at = clock()

    def note_answer(self) -> None:
        """Note that the blob store has answered."""
        self._answered_at = self._clock()

    def take(self, rollout: Rollout, transition: Transition) -> bool:
        """Store a transition; tell whether it took effect."""
        if transition.offers_to_more and transition.at < self._answered_at:
            self._found.wrong.append(f"{rollout.id}: a wave is older than the store's answer")
        is_taken = super().take(rollout, transition)
        self._found.lost += not is_taken
        return is_taken
