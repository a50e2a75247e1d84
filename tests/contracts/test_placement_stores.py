"""What every store promises about where models run, on SQLite and on a real Postgres server."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from octomil.control.records import EMPTY_PROFILE, Device, DeviceProfile, RouteTally
from octomil.control.stores import placement
from octomil.control.stores.sql import SqlStore
from octomil.placement.devices import HardwareKind
from octomil.placement.speeds import ModelSpeed, Samples
from octomil.placement.table import DeviceClass

NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
BOX = HardwareKind("linux", DeviceClass.FLAGSHIP, "cpu")
TALLY = RouteTally(
    model_id="mnist", target="device", reason="Device is capable", decisions=3, latency_us=90
)


def add_device(store: SqlStore, number: int = 1, owner: str = "acme") -> str:
    made = Device(
        id=f"dev_{owner}_{number}", organisation=owner, identifier=f"box-{number}",
        profile=EMPTY_PROFILE, generation=0, created_at=NOW, updated_at=NOW,
    )  # fmt: skip
    with store.transaction(owner) as tx:
        assert tx.devices.add(made)
    return made.id


def speed(model: str = "mnist", tokens_per_s: float = 50) -> ModelSpeed:
    return ModelSpeed(model=model, size_mb=100, tokens_per_s=tokens_per_s)


def profile(device_id: str, *speeds: ModelSpeed, **changes) -> DeviceProfile:
    made = DeviceProfile(
        device_id=device_id, kind=BOX, ms_per_mb=0.2, speeds=speeds or (speed(),),
        content={"platform": "linux", "hardware": ["Ä\u0000"], "models": []}, measured_at=NOW,
    )  # fmt: skip
    return replace(made, **changes)


def put(store: SqlStore, made: DeviceProfile, owner: str = "acme") -> None:
    with store.transaction(owner) as tx:
        tx.device_profiles.put(made)


def samples(store: SqlStore, device_id: str | None = None, **options) -> Samples:
    asked = {"kind": BOX, "model_id": "mnist", "limit": 10, **options}
    with store.snapshot(options.pop("owner", "acme")) as tx:
        asked.pop("owner", None)
        return tx.device_profiles.samples(device_id=device_id, **asked)


def tallies(store: SqlStore, owner: str = "acme", model_id: str = "mnist") -> list[RouteTally]:
    with store.snapshot(owner) as tx:
        return list(tx.route_tallies.of_model(model_id))


def test_what_was_decided_adds_up(store: SqlStore):
    other = replace(TALLY, target="cloud", reason="Device RAM insufficient", decisions=7)
    for _ in range(3):
        with store.system() as tx:
            tx.add_route_tallies([("acme", TALLY), ("acme", other)])

    assert tallies(store) == [
        replace(other, decisions=21, latency_us=270),
        replace(TALLY, decisions=9, latency_us=270),
    ]


def test_decisions_are_an_organisation_s_own(store: SqlStore):
    with store.system() as tx:
        tx.add_route_tallies([("acme", TALLY), ("globex", replace(TALLY, decisions=1))])

    assert tallies(store) == [TALLY]
    assert tallies(store, "globex") == [replace(TALLY, decisions=1)]
    assert tallies(store, model_id="another") == []


def test_of_models_beyond_the_most_nothing_is_counted(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(placement, "MAX_COUNTED_MODELS", 2)
    models = [replace(TALLY, model_id=name) for name in ("a", "b", "c")]
    for _ in range(2):
        with store.system() as tx:
            tx.add_route_tallies([("acme", each) for each in models])
            tx.add_route_tallies([("acme", replace(models[0], target="cloud"))])
            tx.add_route_tallies([("globex", models[2])])

    assert [len(tallies(store, model_id=name)) for name in "abc"] == [2, 1, 0]
    assert [each.decisions for each in tallies(store, model_id="b")] == [2 * TALLY.decisions]
    assert len(tallies(store, "globex", "c")) == 1


def test_counts_of_many_writers_at_once_are_all_there(store: SqlStore):
    def add(_number: int) -> None:
        with store.system() as tx:
            tx.add_route_tallies([("acme", TALLY), ("globex", TALLY)])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(16)))

    assert tallies(store) == tallies(store, "globex")
    assert tallies(store)[0].decisions == 16 * TALLY.decisions


def test_a_profile_is_read_back_as_it_was(store: SqlStore):
    made = profile(add_device(store), speed("another", 0.1), speed("mnist", 1 / 3))

    put(store, made)

    with store.snapshot("acme") as tx:
        assert tx.device_profiles.get(made.device_id) == made
        assert tx.device_profiles.get("dev_nobody") is None


def test_a_later_profile_takes_the_place_of_the_one_before(store: SqlStore):
    device_id = add_device(store)
    later = profile(device_id, speed("third"), ms_per_mb=None, measured_at=NOW + timedelta(days=1))
    put(store, profile(device_id, speed("another"), speed("mnist")))

    put(store, later)

    with store.snapshot("acme") as tx:
        assert tx.device_profiles.get(device_id) == later
    assert samples(store) == Samples()


def test_a_forgotten_profile_is_heard_no_more(store: SqlStore):
    device_id = add_device(store)
    put(store, profile(device_id))

    with store.transaction("acme") as tx:
        tx.device_profiles.delete(device_id)
        tx.device_profiles.delete(device_id)
        assert tx.device_profiles.get(device_id) is None

    assert samples(store, device_id) == Samples()


def test_a_profile_is_an_organisation_s_own(store: SqlStore):
    device_id = add_device(store)
    put(store, profile(device_id))

    with store.transaction("globex") as tx:
        assert tx.device_profiles.get(device_id) is None
        tx.device_profiles.delete(device_id)
    assert samples(store, device_id, owner="globex") == Samples()
    assert samples(store, device_id).own_ms == 20


def test_devices_of_the_kind_are_heard_and_no_others(store: SqlStore):
    put(store, profile(add_device(store, 1), speed("mnist", 50)))
    others = [
        replace(BOX, platform="windows"),
        replace(BOX, device_class=DeviceClass.LOW),
        replace(BOX, accelerator="gpu"),
    ]
    for number, kind in enumerate(others, start=2):
        put(store, profile(add_device(store, number), speed("mnist", 1), kind=kind))

    assert samples(store) == Samples(ms=(20,), ms_per_mb=(0.2,))
    assert samples(store, model_id="unknown") == Samples(ms_per_mb=(0.2,))


def test_a_device_s_own_measurements_are_told_apart_if_it_is_of_the_kind(store: SqlStore):
    own, other = add_device(store, 1), add_device(store, 2)
    put(store, profile(own, speed("mnist", 10), ms_per_mb=1.0))
    put(store, profile(other, speed("mnist", 50)))

    found = samples(store, own)

    assert (found.own_ms, found.own_ms_per_mb) == (100, 1.0)
    assert sorted(found.ms) == [20, 100]
    assert samples(store, own, model_id="unknown").own_ms is None
    elsewhere = samples(store, own, kind=replace(BOX, platform="windows"))
    assert elsewhere == Samples()


def test_those_that_measured_last_are_heard(store: SqlStore):
    for number in range(5):
        made = profile(add_device(store, number), speed("mnist", 2**number), ms_per_mb=number)
        put(store, replace(made, measured_at=NOW + timedelta(minutes=number)))

    found = samples(store, limit=2)

    assert sorted(found.ms_per_mb) == [3, 4]
    assert sorted(found.ms) == [1000 / 16, 1000 / 8]


@pytest.mark.parametrize("count", [0, 64])
def test_a_profile_may_have_no_models_and_many(store: SqlStore, count: int):
    device_id = add_device(store)
    speeds = tuple(speed(f"m{number:02}", number + 1) for number in range(count))

    put(store, replace(profile(device_id), speeds=speeds))

    with store.snapshot("acme") as tx:
        assert tx.device_profiles.get(device_id).speeds == speeds
