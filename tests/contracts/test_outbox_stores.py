"""The outbox in the store, on SQLite and on a real Postgres server."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import event

from octomil.control.records import Delivery, DeliveryState, Event, Webhook
from octomil.control.stores.sql import SqlStore

NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
WEBHOOK = Webhook(
    id="whk_1", organisation="acme", url="https://example.com", secret="s",
    events=("model.created", "alias.moved"), created_at=NOW,
)  # fmt: skip


def test_the_outbox_hands_out_what_is_due_in_its_order(store: SqlStore):
    def happened(number: int, subject: str) -> Event:
        return Event(
            id=f"evt_{number}", type="alias.moved", subject=subject, data={}, occurred_at=NOW
        )

    other = replace(WEBHOOK, id="whk_2")
    with store.transaction("acme") as tx:
        for webhook in (WEBHOOK, other):
            tx.webhooks.add(webhook)
        tx.outbox.put(happened(1, "a"), [WEBHOOK, other], '{"n":1}')
        tx.outbox.put(happened(2, "a"), [WEBHOOK], '{"n":2}')
        tx.outbox.put(happened(3, "b"), [WEBHOOK], '{"n":3}')
    lease = NOW + timedelta(seconds=20)

    def claimed(at: datetime, limit: int = 9) -> list[tuple[str, str]]:
        with store.system() as tx:
            lease = at + timedelta(seconds=20)
            taken = tx.deliveries.claim(at, lease, limit=limit, to_each=9)
        return [(delivery.event_id, webhook.id) for delivery, webhook in taken]

    assert claimed(NOW - timedelta(seconds=1)) == []
    assert claimed(NOW, limit=1) == [("evt_1", "whk_1")]
    assert claimed(NOW) == [("evt_1", "whk_2"), ("evt_3", "whk_1")]
    assert claimed(NOW) == []
    assert claimed(lease) == [("evt_1", "whk_1"), ("evt_1", "whk_2"), ("evt_3", "whk_1")]
    with store.transaction("acme") as tx:
        pending = tx.outbox.list("whk_1", state=DeliveryState.PENDING, limit=9)
    ended = replace(
        pending[-1], state=DeliveryState.DEAD, ended_at=LATER, tries=1, status=500, problem="x"
    )
    with store.system() as tx:
        tx.deliveries.settle(ended)
    assert [each.event_id for each in pending] == ["evt_3", "evt_2", "evt_1"]
    assert claimed(lease) == [("evt_2", "whk_1")]
    with store.transaction("acme") as tx:
        assert tx.outbox.list("whk_1", state=DeliveryState.DEAD, limit=9) == [
            replace(ended, leased_until=None)
        ]
        assert not tx.outbox.revive("whk_1", pending[0].sequence, LATER)
        assert tx.outbox.revive("whk_1", ended.sequence, LATER)
        tx.outbox.drop("whk_2")
        assert tx.outbox.list("whk_2", state=None, limit=9) == []
    with store.system() as tx:
        assert tx.leftovers.drop_deliveries(LATER, 9) == 0
        tx.deliveries.claim(LATER, LATER + timedelta(seconds=20), limit=9, to_each=9)
        tx.deliveries.settle(replace(ended, leased_until=LATER + timedelta(seconds=20)))
        assert tx.leftovers.drop_deliveries(LATER + timedelta(seconds=1), 9) == 1


def test_old_deliveries_go_a_few_at_a_time_and_those_that_wait_stay(store: SqlStore):
    with store.transaction("acme") as tx:
        tx.webhooks.add(WEBHOOK)
        for number in range(4):
            about = Event(id=f"evt_{number}", type="model.created", subject=f"mdl_{number}",
                          data={}, occurred_at=NOW)  # fmt: skip
            tx.outbox.put(about, [WEBHOOK], "{}")
    with store.system() as tx:
        taken = tx.deliveries.claim(NOW, LATER, limit=3, to_each=9)
        for each, _ in taken:
            tx.deliveries.settle(replace(each, state=DeliveryState.DELIVERED, ended_at=NOW))

        dropped = [tx.leftovers.drop_deliveries(LATER, 2) for _ in range(3)]

    assert dropped == [2, 1, 0]
    with store.snapshot("acme") as tx:
        assert [each.event_id for each in tx.outbox.list("whk_1", state=None, limit=9)] == ["evt_3"]


def test_no_webhook_has_more_under_way_than_its_share(store: SqlStore):
    other = replace(WEBHOOK, id="whk_2")
    with store.transaction("acme") as tx:
        for webhook in (WEBHOOK, other):
            tx.webhooks.add(webhook)
        for number in range(5):
            about = Event(id=f"evt_{number}", type="model.created", subject=f"mdl_{number}",
                          data={}, occurred_at=NOW)  # fmt: skip
            tx.outbox.put(about, [WEBHOOK, other] if number == 4 else [WEBHOOK], "{}")
    lease = NOW + timedelta(seconds=20)

    def claimed() -> list[Delivery]:
        with store.system() as tx:
            return [each for each, _ in tx.deliveries.claim(NOW, lease, limit=9, to_each=2)]

    first = claimed()
    assert [(each.event_id, each.webhook_id) for each in first] == [
        ("evt_0", "whk_1"), ("evt_1", "whk_1"), ("evt_4", "whk_2"),
    ]  # fmt: skip
    assert claimed() == []
    with store.system() as tx:
        done = replace(first[0], state=DeliveryState.DELIVERED, ended_at=NOW, tries=1)
        tx.deliveries.settle(done)
    assert [each.event_id for each in claimed()] == ["evt_2"]


def test_a_try_that_was_taken_over_is_not_settled_by_who_was_late(store: SqlStore):
    about = Event(id="evt_1", type="model.created", subject="mdl_1", data={}, occurred_at=NOW)
    with store.transaction("acme") as tx:
        tx.webhooks.add(WEBHOOK)
        tx.outbox.put(about, [WEBHOOK], "{}")

    def claimed(at: datetime) -> Delivery:
        with store.system() as tx:
            ((found, _),) = tx.deliveries.claim(at, at + timedelta(seconds=20), limit=9, to_each=9)
        return found

    def settled(delivery: Delivery) -> Delivery:
        with store.system() as tx:
            tx.deliveries.settle(replace(delivery, tries=delivery.tries + 9, status=500))
        with store.snapshot("acme") as look:
            (found,) = look.outbox.list("whk_1", state=None, limit=9)
        return found

    late, taken_over = claimed(NOW), claimed(NOW + timedelta(seconds=20))

    assert settled(late) == taken_over
    assert settled(taken_over).tries == 9


def test_what_was_noted_for_a_webhook_as_it_was_removed_goes(store: SqlStore):
    about = Event(id="evt_1", type="model.created", subject="mdl_1", data={}, occurred_at=NOW)
    with store.transaction("acme") as tx:
        tx.webhooks.add(WEBHOOK)
        tx.webhooks.delete("whk_1", NOW)
        tx.outbox.put(about, [WEBHOOK], "{}")

    with store.system() as tx:
        assert tx.deliveries.claim(NOW, LATER, limit=9, to_each=9) == []

    with store.snapshot("acme") as look:
        assert look.outbox.list("whk_1", state=None, limit=9) == []


def test_what_waits_is_found_by_an_index_however_much_was_told(store: SqlStore):
    said: list[tuple] = []

    def note(_connection, _cursor, *call: object) -> None:
        said.append(call[:2])

    with store.system() as tx:
        connection = tx._connection
        event.listen(connection.engine, "before_cursor_execute", note)
        tx.deliveries.claim(NOW, LATER, limit=9, to_each=9)
        event.remove(connection.engine, "before_cursor_execute", note)
        claim, values = next(call for call in said if call[0].startswith("UPDATE deliveries"))
        explain = "EXPLAIN QUERY PLAN"
        if connection.dialect.name == "postgresql":  # which would rather read all of a small table
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            explain = "EXPLAIN"
        plan = connection.exec_driver_sql(f"{explain} {claim}", values)

        assert "ix_deliveries_turn" in " ".join(str(row) for row in plan)
