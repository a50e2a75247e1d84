"""What every store promises about rows that have ended, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from octomil.control.records import (
    EMPTY_PROFILE,
    ApiKey,
    BootstrapToken,
    Device,
    RequestKey,
    TokenFamily,
)
from octomil.control.stores.sql import SqlStore

NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
OLD = NOW - timedelta(days=40)
CUT = NOW - timedelta(days=30)
MANY = 100


def key(name: str, **changes: object) -> ApiKey:
    made = ApiKey(id=f"key_{name}", organisation="acme", name=name, hash=name.encode().ljust(32),
                  scopes=("a",), created_at=OLD)  # fmt: skip
    return replace(made, **changes)


def token(name: str, **changes: object) -> BootstrapToken:
    made = BootstrapToken(
        id=f"obt_{name}", organisation="acme", name=name, hash=name.encode().ljust(32), prefix="",
        device_scopes=(), labels={}, groups=(), created_at=OLD, expires_at=NOW, max_uses=1,
    )  # fmt: skip
    return replace(made, **changes)


def family(name: str, **changes: object) -> TokenFamily:
    made = TokenFamily(
        id=name * 32, organisation="acme", device_id="dev_1", scopes=(), access_ttl_s=60,
        current_hash=b"1", previous_hash=None, created_at=OLD, rotated_at=OLD, expires_at=NOW,
    )  # fmt: skip
    return replace(made, **changes)


def test_answers_go_whosever_they_are_and_the_young_ones_stay(store: SqlStore):
    for organisation in ("acme", "globex"):
        with store.transaction(organisation) as tx:
            for number, moment in enumerate((OLD, OLD, CUT)):
                request = RequestKey(caller="key:1", text=str(number))
                assert tx.idempotency_keys.claim(request, b"d" * 32, moment)

    with store.system() as tx:
        assert tx.leftovers.drop_answers(CUT, 3) == 3
        assert tx.leftovers.drop_answers(CUT, 3) == 1
        assert tx.leftovers.drop_answers(CUT, 3) == 0
    for organisation in ("acme", "globex"):
        with store.snapshot(organisation) as tx:
            kept = [tx.idempotency_keys.find(RequestKey(caller="key:1", text=n)) for n in "012"]
            assert [each is not None for each in kept] == [False, False, True]


def test_families_go_that_expired_or_were_revoked_before(store: SqlStore):
    device = Device(id="dev_1", organisation="acme", identifier="b", profile=EMPTY_PROFILE,
                    generation=0, created_at=OLD, updated_at=OLD)  # fmt: skip
    with store.transaction("acme") as tx:
        tx.devices.add(device)
        for each in (family("a"), family("b", expires_at=OLD), family("c"), family("d")):
            tx.token_families.add(each)
        assert tx.token_families.revoke("c" * 32, "theft", OLD)
        assert tx.token_families.revoke("d" * 32, "theft", CUT)

    with store.system() as tx:
        assert tx.leftovers.drop_token_families(CUT, MANY) == 2
        kept = [tx.token_family(name * 32) is not None for name in "abcd"]
    assert kept == [True, False, False, True]


def test_bootstrap_tokens_go_that_expired_or_were_revoked_before(store: SqlStore):
    with store.transaction("acme") as tx:
        for each in (token("a"), token("b", expires_at=OLD), token("c")):
            tx.bootstrap_tokens.add(each)
        assert tx.bootstrap_tokens.revoke("obt_c", OLD)

    with store.system() as tx:
        assert tx.leftovers.drop_bootstrap_tokens(CUT, MANY) == 2
    with store.snapshot("acme") as tx:
        assert [each.id for each in tx.bootstrap_tokens.list()] == ["obt_a"]


def test_keys_go_that_ended_before_and_each_organisation_keeps_its_youngest(store: SqlStore):
    ended = {"expires_at": OLD}
    with store.transaction("acme") as tx:
        for each in (key("a", **ended), key("b"), key("c", revoked_at=OLD), key("d", **ended)):
            tx.api_keys.add(each)
    with store.transaction("globex") as tx:
        tx.api_keys.add(key("e", **ended))

    with store.system() as tx:
        assert tx.leftovers.drop_api_keys(CUT, MANY) == 2
        assert tx.leftovers.drop_api_keys(CUT, MANY) == 0
    with store.snapshot("acme") as tx:
        assert [each.id for each in tx.api_keys.list()] == ["key_b", "key_d"]
    with store.snapshot("globex") as tx:
        assert [each.id for each in tx.api_keys.list()] == ["key_e"]


def test_of_many_that_drop_at_once_each_row_is_counted_by_one(store: SqlStore):
    with store.transaction("acme") as tx:
        for number in range(MANY):
            request = RequestKey(caller="key:1", text=str(number))
            assert tx.idempotency_keys.claim(request, b"d" * 32, OLD)

    def drop(_: int) -> int:
        dropped = 0
        while True:
            with store.system() as tx:
                some = tx.leftovers.drop_answers(CUT, 7)
            dropped += some
            if some == 0:
                return dropped

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(drop, range(4))) == MANY
