"""How much an organisation may have under way, over HTTP."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from octomil.control.plane import ControlPlane
from octomil.control.services.rate_limits import Limits
from octomil.control.services.upload_quotas import UploadQuota
from octomil.control.services.uploads import EXPIRES
from support.control import API, WallClock, client_of, control_plane, key_of
from support.model_files import safetensors_file
from support.registry import appended, begun, completed

CONTENT = safetensors_file(w=[1.0])
QUOTA = UploadQuota(most=2, most_bytes=1000)


@pytest.fixture
def plane(tmp_path: Path, clock: WallClock) -> Iterator[ControlPlane]:
    with control_plane(tmp_path, clock, limits=Limits(uploads=QUOTA)) as plane:
        yield plane


async def begin(client: httpx.AsyncClient, size_bytes: int) -> httpx.Response:
    return await client.post(f"{API}/uploads", json={"size_bytes": size_bytes})


async def test_one_more_than_may_be_under_way_is_refused_until_one_is_given_up(
    admin: httpx.AsyncClient, clock: WallClock
):
    first = await begun(admin, 10)
    clock.advance(seconds=1)
    second = await begun(admin, 10)

    refused = await begin(admin, 10)

    assert (refused.status_code, refused.json()["error"]) == (409, "conflict")
    assert "DELETE /uploads/ID" in refused.json()["message"]
    details = refused.json()["details"]
    assert (details["limit"], details["most"]) == ("open_uploads", 2)
    assert details["oldest"] == [first, second]
    assert refused.headers["retry-after"] == str(details["retry_after_s"])
    assert (await admin.delete(f"{API}/uploads/{first}")).status_code == 200
    assert (await begin(admin, 10)).status_code == 201


async def test_what_uploads_are_going_to_have_counts_together(admin: httpx.AsyncClient):
    await begun(admin, 600)

    refused = await begin(admin, 401)

    details = refused.json()["details"]
    assert refused.status_code == 409
    assert (details["limit"], details["most"]) == ("open_upload_bytes", 1000)
    assert (await begin(admin, 400)).status_code == 201


async def test_who_is_refused_may_come_again_with_the_same_idempotency_key(
    admin: httpx.AsyncClient,
):
    upload = await begun(admin, 1000)
    key = {"idempotency-key": "one"}

    refused = await admin.post(f"{API}/uploads", json={"size_bytes": 1}, headers=key)
    await admin.delete(f"{API}/uploads/{upload}")
    taken = await admin.post(f"{API}/uploads", json={"size_bytes": 1}, headers=key)

    assert (refused.status_code, taken.status_code) == (409, 201)


async def test_complete_and_abandoned_uploads_do_not_count(
    admin: httpx.AsyncClient, clock: WallClock
):
    whole, _ = await begun(admin, len(CONTENT)), await begun(admin, 10)
    await appended(admin, whole, 0, CONTENT)
    assert (await completed(admin, whole, CONTENT)).status_code == 200

    assert (await begin(admin, 10)).status_code == 201
    assert (await begin(admin, 10)).status_code == 409
    clock.advance(seconds=EXPIRES.total_seconds())
    assert (await begin(admin, 10)).status_code == 201


async def test_another_organisation_has_a_quota_of_its_own(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    for _ in range(2):
        await begun(admin, 10)

    async with client_of(plane, key_of(plane, "other")) as other:
        assert (await begin(other, 1000)).status_code == 201
