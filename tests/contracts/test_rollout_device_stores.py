"""What every store promises about devices that take rollouts, on SQLite and on Postgres."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import postgresql, sqlite

from octomil.control.stores.rollout_devices import page_query
from octomil.control.stores.sql import SqlStore
from octomil.rollouts import commands
from octomil.rollouts.device_states import ON_THE_WAY, DeviceState
from octomil.rollouts.states import RolloutState
from support.rollout_rows import BEFORE, DIGEST, NOW, at, attestation, device, rollout, taken


def test_devices_are_counted_that_are_evidence_and_took_it_in_time(fleet: SqlStore):
    with fleet.transaction("acme") as tx:
        for number in range(3, 8):
            tx.devices.add(device(number))
        tx.rollouts.add(rollout())
        tx.rollout_devices.put(taken(1))
        tx.rollout_devices.put(taken(1, DeviceState.SUCCEEDED))
        tx.rollout_devices.put(taken(2, DeviceState.SUCCEEDED))
        tx.rollout_devices.put(taken(3))
        tx.rollout_devices.put(taken(4, DeviceState.FAILED, is_counted=False))
        tx.rollout_devices.put(taken(5, taken_at=NOW - timedelta(seconds=1)))
        tx.rollout_devices.put(taken(6))
        tx.devices.remove("dev_acme_6", NOW)

        assert tx.rollout_devices.get("rol_1", "dev_acme_2") == taken(2, DeviceState.SUCCEEDED)
        counted = {each.state: n for each, n in tx.rollout_devices.tally("rol_1", NOW)}
        (second,) = tx.rollout_devices.page("rol_1", "dev_acme_1", 1)
        silent = tx.rollout_devices.silent("rol_1", NOW, limit=9)
        assert tx.rollout_devices.silent("rol_1", NOW - timedelta(seconds=1), limit=9) == []
    assert counted == {DeviceState.SUCCEEDED: 2, DeviceState.CONFIRMING: 1}
    assert second.device_id == "dev_acme_2"
    assert [each.device_id for each in silent] == ["dev_acme_3", "dev_acme_5", "dev_acme_6"]


def test_the_other_versions_devices_are_those_that_ran_and_were_seen(fleet: SqlStore):
    hours = [timedelta(hours=n) for n in range(5)]
    seen = {1: NOW + hours[3], 2: NOW + hours[1], 3: NOW - hours[1], 4: NOW + hours[3]}
    with fleet.transaction("acme") as tx:
        for number in range(3, 8):
            tx.devices.add(device(number))
        tx.rollouts.add(rollout())
        for number in seen:  # 1 is healthy, 2 fell silent, 3 was silent before, 4 took it
            said = attestation(number, digest=BEFORE, since=NOW - hours[2])  # and says it again
            tx.attestations.put(said)
        tx.rollout_devices.put(taken(4))
        broke = attestation(5, digest=BEFORE, is_active=False)
        tx.attestations.put(broke)
        tx.attestations.put(replace(broke, device_id="dev_acme_7", since=NOW - hours[1]))
        tx.attestations.put(attestation(6))
    with fleet.system() as tx:
        tx.note_last_seen([(f"dev_acme_{number}", moment) for number, moment in seen.items()])

    with fleet.snapshot("acme") as tx:
        found = tx.attestations.others(
            rollout(), since=NOW, seen_until=NOW + hours[1], silent_before=NOW + hours[2]
        )
        assert tx.attestations.get("dev_acme_5", "mdl_acme") == broke
        assert tx.attestations.get("dev_acme_5", "mdl_other") is None
        assert tx.attestations.counts("mdl_acme", {DIGEST, BEFORE}) == {
            DIGEST: (1, 0),
            BEFORE: (4, 2),
        }
    assert found == (3, 2)


def test_pages_are_whole_and_disjoint_while_devices_come_and_move_on(fleet: SqlStore):
    """Who is there when the walk begins is in it once; who comes behind the page is, too."""
    with fleet.transaction("acme") as tx:
        tx.rollouts.add(rollout())
        tx.rollouts.add(rollout(2, model_id="mdl_2"))
        for number in range(10, 40):
            tx.devices.add(device(number))
        for number in range(10, 30, 2):
            tx.rollout_devices.put(taken(number))
            tx.rollout_devices.put(taken(number, rollout_id="rol_2"))

    after, walked = None, []
    while True:
        with fleet.snapshot("acme") as tx:
            page = tx.rollout_devices.page("rol_1", after, 3)
        if not page:
            break
        assert len(page) == 3 or page[-1].device_id == "dev_acme_39"
        walked += [(each.device_id, each.progress.state) for each in page]
        after = page[-1].device_id
        with fleet.transaction("acme") as tx:  # some come before the page's end, some behind it
            for number in {11, 39} if len(walked) == 3 else ():
                tx.rollout_devices.put(taken(number))
            for number in range(10, 30, 2):
                tx.rollout_devices.put(taken(number, DeviceState.SUCCEEDED))

    states = [DeviceState.CONFIRMING] * 3 + [DeviceState.SUCCEEDED] * 7 + [DeviceState.CONFIRMING]
    ids = [f"dev_acme_{number}" for number in (*range(10, 30, 2), 39)]
    assert walked == list(zip(ids, states, strict=True))


def test_where_devices_stood_goes_with_rollouts_that_ended_and_lead_nowhere(fleet: SqlStore):
    """Layers and what a rollback would lead to stay, whatever their age; so does the history."""
    old, cut = NOW - timedelta(days=100), NOW - timedelta(days=90)
    whole = {"progress": at(RolloutState.COMPLETED, 100), "created_at": old}
    with fleet.transaction("acme") as tx:
        for number in (1, 2, 3):
            assert tx.rollouts.add(rollout(number, **whole))
        for number, ended_at in ((4, old), (5, cut), (6, None)):
            half = at(RolloutState.ACTIVE, 50)
            made = rollout(number, model_id=f"mdl_{number}", progress=half, created_at=old)
            assert tx.rollouts.add(made)
            if ended_at is not None:
                over = commands.roll_back(made.progress, now=ended_at, actor="ann")
                assert over is not None
                assert tx.rollouts.take(made.id, over)
        deleted = rollout(7, model_id="mdl_7", **whole)
        assert tx.rollouts.add(deleted)
        assert tx.rollouts.remove(deleted, cut)
        for number in range(1, 8):
            for each in (1, 2):
                tx.rollout_devices.put(taken(each, rollout_id=f"rol_{number}"))
        told = tx.rollouts.layers("mdl_acme")

    with fleet.system() as tx:
        assert tx.leftovers.drop_rollout_devices(old, 3) == 0
        assert [tx.leftovers.drop_rollout_devices(cut, 3) for _ in range(3)] == [3, 1, 0]

    with fleet.snapshot("acme") as tx:
        left = {n for n in range(1, 8) if tx.rollout_devices.page(f"rol_{n}", None, 9)}
        assert left == {2, 3, 5, 6, 7}
        assert tx.rollouts.layers("mdl_acme") == told != []
        assert [each.action for each in tx.rollouts.history("rol_4", limit=9)] == ["roll_back"]


def test_those_on_the_way_are_counted_until_they_took_too_long(fleet: SqlStore):
    stages = sorted(ON_THE_WAY)
    with fleet.transaction("acme") as tx:
        tx.rollouts.add(rollout())
        others = (DeviceState.CONFIRMING, DeviceState.SUPERSEDED)
        for number, state in enumerate((*stages, *others, stages[0]), 3):
            tx.devices.add(device(number))
            tx.rollout_devices.put(taken(number, state, is_counted=False))
        tx.devices.remove("dev_acme_9", NOW)

        assert tx.rollout_devices.on_the_way("rol_1", NOW - timedelta(seconds=1)) == len(stages)
        assert tx.rollout_devices.on_the_way("rol_1", NOW) == 0
        assert tx.rollout_devices.on_the_way("rol_2", NOW - timedelta(seconds=1)) == 0


AVOIDED = ("seqscan", "sort", "bitmapscan")
"""On few rows Postgres may rightly prefer these; without them it shows whether the key is enough.
"""


@pytest.mark.parametrize("after", [None, "dev_acme_9"])
def test_a_page_is_read_along_the_key(fleet: SqlStore, after: str | None):
    with fleet.system_snapshot() as tx:
        connection = tx._connection
        is_sqlite = connection.dialect.name == "sqlite"
        query = page_query("acme", "rol_1", after).limit(101)
        dialect = (sqlite if is_sqlite else postgresql).dialect()
        statement = query.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
        if not is_sqlite:
            for way in AVOIDED:
                connection.execute(text(f"SET LOCAL enable_{way} = off"))
        words = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        rows = connection.execute(text(f"{words} {statement}"))
        found = "\n".join(str(row[-1]) for row in rows)

    assert "sqlite_autoindex_rollout_devices_1" in found or "pk_rollout_devices" in found, found
    for word in ("SCAN", "TEMP B-TREE", "Seq Scan", "Sort"):
        assert word not in found.replace("Index Scan", ""), found
