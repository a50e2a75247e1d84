"""What every store promises about devices' usage, checked on SQLite and on a real Postgres."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from octomil.control.records import (
    EMPTY_PROFILE,
    Attestation,
    Device,
    DeviceUsage,
    Rollout,
    RolloutDevice,
    Spread,
)
from octomil.control.stores.sql import SqlStore
from octomil.rollouts import commands
from octomil.rollouts.device_states import DeviceProgress, DeviceState
from octomil.rollouts.states import Progress, RolloutState

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
EARLIER, LATER = NOW - timedelta(hours=1), NOW + timedelta(minutes=1)
NEW, OLD, OLDER = "ab" * 32, "cd" * 32, "ef" * 32
ROLLOUT = Rollout(
    id="rol_1", organisation="acme", model_id="mdl_1", ordinal=1, version_id="ver_1",
    number="2.0.0", digest=NEW, created_at=NOW,
    progress=Progress(state=RolloutState.ACTIVE, step=1, began_at=NOW, widened_at=NOW),
)  # fmt: skip
NOTHING = Spread(count=0, total=0.0, total_of_squares=0.0)


@pytest.fixture
def fleet(store: SqlStore) -> Iterator[SqlStore]:
    """A rollout, and eight devices."""
    with store.transaction("acme") as tx:
        assert tx.rollouts.add(ROLLOUT)
        for number in range(8):
            made = Device(
                id=f"dev_{number}", organisation="acme", identifier=f"box-{number}",
                profile=EMPTY_PROFILE, generation=0, created_at=NOW, updated_at=NOW,
            )  # fmt: skip
            assert tx.devices.add(made)
    return store


def took(number: int, **changes: Any) -> RolloutDevice:
    state = DeviceState.CONFIRMING
    progress = DeviceProgress(digest=NEW, generation=1, state=state, reached=state, since=LATER)
    made = RolloutDevice(
        organisation="acme", rollout_id="rol_1", device_id=f"dev_{number}", progress=progress,
        taken_at=LATER, is_counted=True,
    )  # fmt: skip
    return replace(made, **changes)


def runs(number: int, digest: str = OLD, **changes: Any) -> Attestation:
    made = Attestation(
        organisation="acme", device_id=f"dev_{number}", model_id="mdl_1", number="1.0.0",
        digest=digest, is_active=True, message=None, attested_at=LATER, since=EARLIER,
    )  # fmt: skip
    return replace(made, **changes)


def did(number: int, digest: str, errors: int = 0, ms: float = 1.0, tier: str = "") -> DeviceUsage:
    """Ten requests, each of which took so long if it ended well."""
    return DeviceUsage(
        device_id=f"dev_{number}", digest=digest, tier=tier, requests=10, errors=errors,
        log_latency_ms_sum=(10 - errors) * math.log(ms),
    )  # fmt: skip


def test_each_window_is_opened_once_and_never_an_earlier_one(fleet: SqlStore):
    with fleet.transaction("acme") as tx:
        assert tx.usage.last_window("dev_1") == 0
        opened = [tx.usage.open_window("dev_1", number, NOW) for number in (5, 5, 4, 2**53, 6)]
        assert tx.usage.open_window("dev_2", 1, NOW)

    with fleet.snapshot("acme") as tx:
        assert opened == [True, False, False, True, False]
        assert (tx.usage.last_window("dev_1"), tx.usage.last_window("dev_2")) == (2**53, 1)
    with fleet.snapshot("globex") as tx:
        assert tx.usage.last_window("dev_1") == 0


def test_of_many_that_open_one_window_at_once_one_does_and_counts(fleet: SqlStore):
    with fleet.transaction("acme") as tx:
        tx.rollout_devices.put(took(1))

    def report(_: int) -> bool:
        with fleet.transaction("acme") as tx:
            is_new = tx.usage.open_window("dev_1", 7, NOW)
            if is_new:
                tx.usage.add(ROLLOUT, did(1, NEW, errors=5))
        return is_new

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(report, range(8))) == 1
    with fleet.snapshot("acme") as tx:
        assert tx.usage.tally(ROLLOUT)[0].error_shares.total == 0.5


def test_a_device_counts_once_with_all_that_it_did(fleet: SqlStore):
    with fleet.transaction("acme") as tx:
        for number in (1, 2):
            tx.rollout_devices.put(took(number))
        tx.usage.add(ROLLOUT, did(1, NEW, errors=10))
        tx.usage.add(ROLLOUT, did(1, NEW, ms=math.e**2))
        tx.usage.add(ROLLOUT, did(1, NEW, ms=math.e**4, tier="fast"))
        tx.usage.add(ROLLOUT, did(2, NEW, errors=10))

    with fleet.snapshot("acme") as tx:
        new, old = tx.usage.tally(ROLLOUT)
    shares, latencies = new.error_shares, new.log_latencies
    assert (shares.count, latencies.count) == (2, 1)  # who only failed has no latency
    assert shares.total == pytest.approx(1 / 3 + 1)
    assert shares.total_of_squares == pytest.approx(1 / 9 + 1)
    assert (latencies.total, latencies.total_of_squares) == pytest.approx((3, 9))
    assert (old.error_shares, old.log_latencies) == (NOTHING, NOTHING)


def test_only_evidence_is_compared(fleet: SqlStore):
    with fleet.transaction("acme") as tx:
        tx.rollout_devices.put(took(1))
        tx.rollout_devices.put(took(2, is_counted=False))
        tx.rollout_devices.put(took(3, taken_at=EARLIER))
        tx.attestations.put(runs(4))
        tx.attestations.put(runs(5, since=LATER))  # what it ran when the step began is not known
        tx.attestations.put(runs(6, is_active=False))
        tx.attestations.put(runs(7, digest=OLDER))
        tx.attestations.put(runs(1))
        for number in range(8):
            tx.usage.add(ROLLOUT, did(number, NEW, errors=1))
            tx.usage.add(ROLLOUT, did(number, OLD, errors=2))

    def errors(store: SqlStore) -> list[tuple[int, float]]:
        with store.snapshot("acme") as tx:
            return [
                (arm.error_shares.count, arm.error_shares.total) for arm in tx.usage.tally(ROLLOUT)
            ]

    assert errors(fleet) == [(1, pytest.approx(0.1)), (1, pytest.approx(0.2))]
    with fleet.snapshot("globex") as tx:
        assert [arm.error_shares for arm in tx.usage.tally(ROLLOUT)] == [NOTHING, NOTHING]
    with fleet.transaction("acme") as tx:
        assert tx.devices.remove("dev_4", NOW)
    assert errors(fleet)[1] == (0, 0.0)


def test_a_step_begins_with_nothing(fleet: SqlStore):
    later = replace(ROLLOUT, progress=replace(ROLLOUT.progress, began_at=LATER, step=2))
    with fleet.transaction("acme") as tx:
        tx.rollout_devices.put(took(1))
        tx.usage.add(ROLLOUT, did(1, NEW, errors=9))
        assert tx.usage.tally(later)[0].error_shares == NOTHING
        tx.usage.add(later, did(1, NEW, errors=1))

    with fleet.snapshot("acme") as tx:
        assert tx.usage.tally(later)[0].error_shares.total == 0.1
        assert tx.usage.tally(ROLLOUT)[0].error_shares == NOTHING


def test_what_was_reported_goes_when_the_rollout_is_over(fleet: SqlStore):
    with fleet.transaction("acme") as tx:
        for number in range(3):
            tx.rollout_devices.put(took(number))
            tx.usage.add(ROLLOUT, did(number, NEW))
    with fleet.system() as tx:
        assert tx.leftovers.drop_usage(2) == 0
    with fleet.transaction("acme") as tx:
        over = commands.roll_back(ROLLOUT.progress, now=LATER, actor="ann")
        assert over is not None
        assert tx.rollouts.take(ROLLOUT.id, over)

    with fleet.system() as tx:
        assert [tx.leftovers.drop_usage(2) for _ in range(3)] == [2, 1, 0]
    with fleet.snapshot("acme") as tx:
        new, _ = tx.usage.tally(ROLLOUT)
        assert new.error_shares == NOTHING
        assert len(tx.rollout_devices.page(ROLLOUT.id, None, 9)) == 3
