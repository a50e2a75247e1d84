"""Rollouts and attestations over HTTP, as the published client and a device call them."""

import asyncio
import base64
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import httpx
import pytest

from octomil.control.jobs.catalog import jobs_of, read_plans
from octomil.control.jobs.rollouts import steer
from octomil.control.plane import ControlPlane
from octomil.control.records import Rollout
from octomil.control.services.assignments import Plans
from octomil.control.services.offers import Offers
from octomil.control.services.orchestration import Orchestrator
from octomil.control.stores.rollouts import OfferRows
from octomil.errors import ServiceUnavailableError
from octomil.registry.assignments import PAYLOAD_TYPE, statement
from octomil.registry.signatures import SignatureError, verify
from octomil.rollouts.states import Transition
from octomil.wire.rollouts import RolloutRequest
from support.control import API, client_of, key_of
from support.model_files import safetensors_file
from support.registry import new_model, sent
from support.rollouts import (
    AT_ONCE,
    affected_by,
    assigned,
    attest,
    begun,
    device,
    path_of,
    published,
    shown,
    told,
)
from support.versions import caller_of

ALL = {**AT_ONCE, "version": "1.0.0"}


async def test_a_rollout_is_what_devices_are_told_until_all_of_them_run_it(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str
):
    first, second = await device(admin, "box-1"), await device(admin, "box-2")
    rollout = await begun(admin, model)
    path = f"{API}/models/{model}/rollouts/{rollout['id']}"

    told = await assigned(admin, first)
    (offer,) = told["assignments"]
    assert (offer["model_id"], offer["version"]) == (model, "1.0.0")
    assert offer["digest"] == rollout["digest"]
    assert (rollout["status"], rollout["version"]) == ("active", "1.0.0")
    assert not (await assigned(admin, first, told["config_version"]))["updated"]

    for who in (first, second):
        assert (await attest(admin, who, rollout)).status_code == 200
        assert (await admin.get(path)).json()["status"] == "active"
    await steer(plane)

    done = (await admin.get(path)).json()
    assert (done["status"], done["active_devices"], done["failed_devices"]) == ("completed", 2, 0)
    assert done["completed_at"] is not None
    affected = await affected_by(admin, rollout)
    assert [each["device_id"] for each in affected] == sorted([first[0], second[0]])
    assert {each["state"] for each in affected} == {"succeeded"}
    (still,) = (await assigned(admin, first))["assignments"]
    assert (still["digest"], still["sequence"] >= offer["sequence"]) == (offer["digest"], True)


async def test_what_devices_are_told_is_signed(admin: httpx.AsyncClient, model: str):
    await begun(admin, model)
    keys = (await admin.get(f"{API}/signing-keys")).json()["keys"]

    who, other = await device(admin), await device(admin, "box-2")
    told = await assigned(admin, who)

    (offer,) = told["assignments"]
    signature = offer.pop("signature")
    (key,) = (each for each in keys if each["keyid"] == signature["keyid"])
    public, sig = base64.b64decode(key["public_key"]), base64.b64decode(signature["sig"])
    said = {**offer, "device_id": who[0]}
    verify(public, PAYLOAD_TYPE, statement(**said), sig)
    for forged in ({"version": "2.0.0"}, {"device_id": other[0]}):
        with pytest.raises(SignatureError):
            verify(public, PAYLOAD_TYPE, statement(**{**said, **forged}), sig)
    assert (offer["name"], offer["sequence"]) == ("mnist", told["config_version"])
    assert told["config_version"] < 2**53


async def test_a_look_waits_for_no_slower_one_and_is_not_undone_by_it(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, monkeypatch: pytest.MonkeyPatch
):
    who, look = await device(admin), OfferRows.numbers
    wanted = RolloutRequest(version="1.0.0", rollout_percentage=100, start_immediately=True)

    def overtaken(rows: OfferRows) -> Mapping[str, int]:
        found = look(rows)
        monkeypatch.setattr(OfferRows, "numbers", look)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(plane.rollouts.create, caller_of(), model, wanted).result(120)
            pool.submit(plane.offers.refresh).result(120)
        return found

    later = plane.plans.of("default").number
    monkeypatch.setattr(OfferRows, "numbers", overtaken)
    plane.offers.refresh()

    assert plane.plans.of("default").number > later
    assert [each.layers[0].version for each in plane.plans.of("default").models] == ["1.0.0"]
    assert (await assigned(admin, who))["config_version"] == plane.plans.of("default").number


async def test_a_replica_that_lags_behind_does_not_send_devices_back(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str
):
    who = await device(admin)
    good = await begun(admin, model)
    behind = Plans()
    replica = Offers(plane.store, plane.clock, behind)
    await attest(admin, who, good)
    await steer(plane)
    await begun(admin, model, "2.0.0")
    known = (await assigned(admin, who))["config_version"]

    told = behind.answer("default", who[0], known)
    replica.refresh()
    later = behind.answer("default", who[0], known)

    assert not told.updated
    assert (later.updated, later.config_version) == (False, known)
    assert behind.answer("default", who[0], None).updated


async def test_a_restart_changes_nothing_for_devices(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str
):
    who = await device(admin)
    await begun(admin, model)
    before = await assigned(admin, who)

    plane.plans.replace({})
    assert await assigned(admin, who) != before
    plane.offers.refresh()

    assert await assigned(admin, who) == before


async def test_a_pending_rollout_waits_to_be_started(admin: httpx.AsyncClient, model: str):
    who = await device(admin)
    rollout = await begun(admin, model, start_immediately=False)
    assert rollout["status"] == "pending"
    assert (await assigned(admin, who))["assignments"] == []

    path = f"{API}/models/{model}/rollouts/{rollout['id']}/start"
    for _ in range(2):  # once started, this changes nothing
        started = (await admin.post(path, json={})).json()
        assert started["status"] == "active"

    assert len((await assigned(admin, who))["assignments"]) == 1


async def test_there_is_one_open_rollout_of_a_model(admin: httpx.AsyncClient, model: str):
    path = f"{API}/models/{model}/rollouts"
    answers = await asyncio.gather(*(admin.post(path, json=ALL) for _ in range(10)))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9
    assert len((await admin.get(f"{path}/active")).json()) == 1


async def test_deleting_by_force_takes_devices_back_to_what_was_completed(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str
):
    who = await device(admin)
    good = await begun(admin, model)
    await attest(admin, who, good)
    await steer(plane)
    bad = await begun(admin, model, "2.0.0")
    assert (await assigned(admin, who))["assignments"][0]["version"] == "2.0.0"
    path = f"{API}/models/{model}/rollouts/{bad['id']}"

    assert (await admin.delete(path)).status_code == 409
    before = (await assigned(admin, who))["config_version"]
    assert (await admin.delete(path, params={"force": "true"})).json()["deleted"]

    after = await assigned(admin, who)
    assert after["assignments"][0]["version"] == "1.0.0"
    assert after["config_version"] > before
    assert (await admin.get(path)).status_code == 404
    listed = (await admin.get(f"{API}/models/{model}/rollouts")).json()
    assert [each["id"] for each in listed] == [good["id"]]


async def test_a_list_is_a_bare_one_newest_first_and_filtered(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str
):
    who = await device(admin)
    first = await begun(admin, model)
    await attest(admin, who, first)
    await steer(plane)
    plane.clock.advance(seconds=1)  # what begins in one millisecond has no order
    second = await begun(admin, model, "2.0.0")
    path = f"{API}/models/{model}/rollouts"

    listed = (await admin.get(path)).json()
    active = (await admin.get(path, params={"status_filter": "active"})).json()

    assert [each["id"] for each in listed] == [second["id"], first["id"]]
    assert [each["id"] for each in active] == [second["id"]]
    for offset, expected in ((0, second), (1, first)):
        page = (await admin.get(path, params={"limit": 1, "offset": offset})).json()
        assert [each["id"] for each in page] == [expected["id"]]


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"version": "9.0.0"}, 404), ({"version": "0.9.0"}, 409),
     ({"rollout_percentage": 101}, 400), ({"version": ""}, 400)],
)  # fmt: skip
async def test_what_cannot_be_rolled_out_is_refused(
    admin: httpx.AsyncClient, model: str, changes: dict, status: int
):
    await sent(admin, model, safetensors_file(w=[9.0]), "0.9.0")  # not published

    answer = await admin.post(f"{API}/models/{model}/rollouts", json={**ALL, **changes})

    assert answer.status_code == status, answer.text
    assert (await admin.get(f"{API}/models/{model}/rollouts")).json() == []


async def test_a_version_that_is_rolled_out_cannot_be_removed(admin: httpx.AsyncClient, model: str):
    rollout = await begun(admin, model)

    answer = await admin.delete(f"{API}/models/{model}/versions/1.0.0")

    assert answer.status_code == 409
    assert rollout["id"] in answer.json()["message"]


async def test_nobody_attests_for_a_device_but_itself(admin: httpx.AsyncClient, model: str):
    rollout = await begun(admin, model)
    who, other = await device(admin, "box-1"), await device(admin, "box-2")

    by_key = await attest(admin, (who[0], {}), rollout)
    by_other = await attest(admin, (who[0], other[1]), rollout)

    assert (by_key.status_code, by_other.status_code) == (403, 403)
    assert await affected_by(admin, rollout) == []


@pytest.mark.parametrize(
    "changes", [{"digest": "sha256:x"}, {"digest": "ab" * 32}, {"status": "maybe"}]
)
async def test_an_attestation_that_makes_no_sense_is_refused(
    admin: httpx.AsyncClient, model: str, changes: dict
):
    rollout, who = await begun(admin, model), await device(admin)

    assert (await attest(admin, who, rollout, **changes)).status_code == 400


async def test_each_complaint_about_a_body_is_told_once_in_its_order(
    admin: httpx.AsyncClient, model: str
):
    body = {"version": 1, "rollout_percentage": -1, "increment_step": "x"}

    made = await admin.post(f"{API}/models/{model}/rollouts", json=body)
    widened = await admin.post(
        f"{API}/models/{model}/rollouts/rol_1/update-percentage", json={"percentage": "x"}
    )

    assert (made.status_code, widened.status_code) == (400, 400)
    fields = [each["field"] for each in made.json()["details"]["fields"]]
    assert fields == ["version", "rollout_percentage", "increment_step"]
    assert [each["field"] for each in widened.json()["details"]["fields"]] == ["percentage"]


async def test_another_organisations_devices_are_not_told(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str
):
    await begun(admin, model)

    async with client_of(plane, key_of(plane, "globex")) as stranger:
        told = await assigned(stranger, await device(stranger))

    assert told["assignments"] == []


async def test_every_act_is_in_the_audit(admin: httpx.AsyncClient, plane: ControlPlane, model: str):
    who = await device(admin)
    rollout = await begun(admin, model, start_immediately=False)
    path = f"{API}/models/{model}/rollouts/{rollout['id']}"
    await admin.post(f"{path}/start", json={})
    await attest(admin, who, rollout)
    await steer(plane)
    await admin.delete(path, params={"force": "true"})

    with plane.store.snapshot("default") as tx:
        tx.audit.verify()
        acts = [entry for entry in tx.audit.entries() if "rollout." in str(entry["operation"])]
    assert [act["operation"] for act in acts] == [
        "rollout.create", "rollout.start", "rollout.complete", "rollout.delete",
    ]  # fmt: skip


async def test_looking_at_rollouts_keeps_no_writer_waiting(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str
):
    await device(admin)
    await begun(admin, model)
    go_on = threading.Event()
    writing = asyncio.create_task(plane.threads.write(go_on.wait, 120))
    await asyncio.sleep(0)  # it is under way

    await steer(plane)
    go_on.set()

    assert await writing


async def test_a_rollout_that_cannot_be_looked_at_holds_up_no_other_and_no_plans(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, monkeypatch: pytest.MonkeyPatch
):
    who, other = await device(admin), await new_model(admin, "other")
    await published(admin, other, "1.0.0")
    rollouts = [await begun(admin, each) for each in (model, other)]
    for each in rollouts:
        await attest(admin, who, each)
    take = Orchestrator.take

    def taken(orchestrator: Orchestrator, rollout: Rollout, transition: Transition) -> bool:
        assert rollout.id != rollouts[0]["id"], "the database refuses"
        return take(orchestrator, rollout, transition)

    monkeypatch.setattr(Orchestrator, "take", taken)
    await steer(plane)

    assert [(await shown(admin, each))["status"] for each in rollouts] == ["active", "completed"]
    assert {"steer rollouts", "send waves of rollouts", "read plans"} <= set(jobs_of(plane))


async def test_once_the_signing_key_is_rotated_the_new_one_signs_what_is_assigned(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str
):
    who = await device(admin)
    await begun(admin, model)
    (before,) = (await assigned(admin, who))["assignments"]

    new = (await admin.post(f"{API}/signing-keys/rotate")).json()

    (after,) = (await assigned(admin, who))["assignments"]
    assert after["signature"]["keyid"] == new["keyid"]
    assert {**after, "signature": before["signature"]} == before
    said = {name: after[name] for name in ("model_id", "name", "version", "digest", "sequence")}
    payload = statement(device_id=who[0], **said)
    signature = base64.b64decode(after["signature"]["sig"])
    verify(base64.b64decode(new["public_key"]), PAYLOAD_TYPE, payload, signature)
    restarted = Plans()
    Offers(plane.store, plane.clock, restarted)
    assert restarted.of("default") == plane.plans.of("default")
    assert restarted.answer("default", who[0], None) == plane.plans.answer("default", who[0], None)


async def test_a_start_reads_what_all_organisations_are_assigned_at_once(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, monkeypatch: pytest.MonkeyPatch
):
    await begun(admin, model)
    async with client_of(plane, key_of(plane, "globex")) as stranger:
        other = await new_model(stranger)
        await published(stranger, other, "1.0.0")
        await begun(stranger, other)

    def refused(organisation: str) -> NoReturn:
        raise AssertionError(f"{organisation} is read by itself")

    monkeypatch.setattr(plane.store, "snapshot", refused)
    monkeypatch.setattr(plane.store, "transaction", refused)
    plans = Plans()
    Offers(plane.store, plane.clock, plans)

    for owner, name in (("default", model), ("globex", other)):
        assert [each.model_id for each in plans.of(owner).models] == [name]
        assert plans.of(owner) == plane.plans.of(owner)


async def test_what_did_not_change_is_not_read_again(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, monkeypatch: pytest.MonkeyPatch
):
    await begun(admin, model)
    before = plane.plans.of("default")

    def refused(rows: OfferRows, organisations: set[str]) -> NoReturn:
        raise AssertionError(f"{organisations} are read again")

    monkeypatch.setattr(OfferRows, "layers", refused)
    plane.offers.refresh()

    assert plane.plans.of("default") is before


@pytest.mark.parametrize("headers", [{}, {"idempotency-key": "once"}], ids=["plain", "once"])
async def test_what_was_committed_is_answered_although_the_plans_cannot_be_read_at_once(
    admin: httpx.AsyncClient,
    plane: ControlPlane,
    model: str,
    headers: dict,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    who, path = await device(admin), f"{API}/models/{model}/rollouts"

    def unreachable(offers: OfferRows) -> NoReturn:
        raise ServiceUnavailableError("the database does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(OfferRows, "numbers", unreachable)
        answer = await admin.post(path, json=ALL, headers=headers)
    assert answer.status_code == 201, answer.text
    assert "the database does not answer" in caplog.text

    await read_plans(plane)

    assert await told(admin, who) == ["1.0.0"]


async def completed(client: httpx.AsyncClient, plane: ControlPlane, model: str, number: str) -> str:
    """A rollout that the only device runs; returns its id."""
    rollout = await begun(client, model, number)
    await attest(client, await device(client), rollout)
    await steer(plane)
    assert (await shown(client, rollout))["status"] == "completed"
    return str(rollout["id"])


async def test_the_version_that_a_rollback_returns_to_cannot_be_removed(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str
):
    before = await completed(admin, plane, model, "1.0.0")
    bad = await begun(admin, model, "2.0.0")
    version = f"{API}/models/{model}/versions/1.0.0"

    refused = await admin.delete(version)
    assert (refused.status_code, before in refused.json()["message"]) == (409, True)
    await admin.delete(path_of(bad), params={"force": "true"})

    assert await told(admin, await device(admin)) == ["1.0.0"]
    assert (await admin.get(f"{version}/manifest")).status_code == 200


async def test_a_version_that_no_rollback_returns_to_can_be_removed_and_is_never_offered(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str
):
    await published(admin, model, "3.0.0")
    made = [await completed(admin, plane, model, f"{number}.0.0") for number in (1, 2, 3)]
    path = f"{API}/models/{model}"

    assert (await admin.delete(f"{path}/versions/1.0.0")).status_code == 200
    assert (await admin.delete(f"{path}/versions/2.0.0")).status_code == 409
    offered = []
    for each in reversed(made[1:]):
        await admin.delete(f"{path}/rollouts/{each}", params={"force": "true"})
        offered.append(await told(admin, await device(admin)))

    assert offered == [["2.0.0"], []]
