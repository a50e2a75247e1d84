"""What every store promises about idempotency keys, on both databases."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

from octomil.control.records import KeptAnswer, RequestKey
from octomil.control.stores.sql import SqlStore

NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
ONCE = RequestKey(caller="key:k", text="once")


def test_an_idempotency_key_is_claimed_once_by_each_caller(store: SqlStore):
    kept = KeptAnswer(request_digest=b"a" * 32, status=201, body=b"\x00\xff")
    other = replace(ONCE, caller="key:other")
    with store.transaction("acme") as tx:
        assert tx.idempotency_keys.claim(ONCE, kept.request_digest, NOW)
        assert not tx.idempotency_keys.claim(ONCE, b"b" * 32, NOW)
        assert tx.idempotency_keys.find(ONCE) == replace(kept, status=0, body=None)
        tx.idempotency_keys.keep(ONCE, kept.status, kept.body)
        assert tx.idempotency_keys.find(ONCE) == kept
        assert tx.idempotency_keys.find(other) is None
        assert tx.idempotency_keys.claim(other, b"b" * 32, NOW)
        tx.idempotency_keys.keep(other, 200, None)
        assert tx.idempotency_keys.find(ONCE) == kept


def test_of_many_that_claim_a_key_at_once_one_does_and_the_others_see_its_answer(store: SqlStore):
    barrier = threading.Barrier(4)

    def claim(number: int) -> tuple[bool, KeptAnswer | None]:
        barrier.wait()
        with store.transaction("acme") as tx:
            is_first = tx.idempotency_keys.claim(ONCE, b"a" * 32, NOW)
            if is_first:
                tx.idempotency_keys.keep(ONCE, 201, str(number).encode())
            return is_first, tx.idempotency_keys.find(ONCE)

    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(claim, range(4)))

    assert sorted(is_first for is_first, _ in outcomes) == [False] * 3 + [True]
    assert len({answer.body for _, answer in outcomes}) == 1
