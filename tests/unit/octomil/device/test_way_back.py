"""What a restarted device begins with where what it ran last does not come up."""

from typing import Any

import pytest

from octomil.device.activation import LinkActivator
from octomil.device.first_release import FirstReleases
from octomil.device.probation import Probation
from octomil.device.releases import Release, Releases
from octomil.device.slots import Candidate, Failure, Slots
from octomil.device.state import StateFolder
from octomil.device.way_back import before, last_of, take_back, way_out
from octomil.errors import EngineError, ServiceUnavailableError
from octomil.http.api import ApiClient
from octomil.models.partial import write_json
from octomil.registry.manifest import Manifest, digest_of, hex_of
from octomil.sdk.downloads import Downloader
from support.device_agent import (
    CONTENT,
    FILES,
    LINK,
    PAYLOAD,
    Device,
    enveloped,
    offer,
    plan,
    told,
)
from support.scripted import Answer, scripted

BETTER = Manifest(name="mnist", version="2.0.0", files=FILES, lineage=(), created="y").payload()
MENDED = Manifest(name="mnist", version="1.0.0", files=FILES, lineage=(), created="z").payload()
OLD, NEW = digest_of(PAYLOAD), digest_of(BETTER)
CANDIDATE = Candidate(model_id="m", version="2.0.0", digest=NEW)
ERROR = EngineError("half of it is missing")


def here(state: StateFolder, payload: bytes) -> None:
    """Lay a release where whole ones are."""
    folder = state.releases / hex_of(digest_of(payload))
    folder.mkdir()
    write_json(folder / "manifest.json", {"payload": payload.decode()})
    (folder / "onnx").write_bytes(CONTENT)


@pytest.fixture
def releases(state: StateFolder) -> Releases:
    """A device that died with 2.0.0 on probation, after 1.0.0."""
    api = ApiClient("http://127.0.0.1:9/api/v1", None)  # asked for nothing
    releases = Releases(state, api, Downloader(api))
    for payload in (PAYLOAD, BETTER):
        here(state, payload)
    releases.slots.begin(CANDIDATE, OLD)
    LinkActivator(state).activate(newest(releases))
    return releases


def newest(releases: Releases) -> Release:
    release = releases.here("m", NEW)
    assert release is not None
    return release


def test_what_is_on_probation_is_tried_first_and_leads_back_to_what_ran_before(releases: Releases):
    begun = last_of(releases, "mnist")

    assert begun == newest(releases)
    assert before(releases, begun, ERROR).digest == OLD


def test_it_is_rejected_once_what_ran_before_has_come_up(releases: Releases):
    begun = newest(releases)
    before(releases, begun, ERROR)
    assert releases.slots.of("m").rejection is None

    take_back(releases, begun, ERROR)

    slots = releases.slots.of("m")
    assert (slots.trial, slots.previous) == (None, OLD)
    assert slots.rejection is not None
    assert slots.rejection.candidate == CANDIDATE
    assert slots.rejection.failure == Failure(code="does_not_run", message=str(ERROR))


def test_a_device_that_died_on_its_way_back_arrives(releases: Releases):
    take_back(releases, newest(releases), ERROR)

    begun = last_of(releases, "mnist")

    assert begun is not None
    assert begun.digest == OLD
    with pytest.raises(EngineError, match=r"^1\.0\.0 .* 2\.0\.0.* half of it is missing"):
        before(releases, begun, EngineError("it is gone"))


def test_what_was_taken_back_is_better_than_nothing(releases: Releases, state: StateFolder):
    take_back(releases, newest(releases), ERROR)
    state.remove(hex_of(OLD))

    assert last_of(releases, "mnist") == newest(releases)


def test_way_back_to_what_is_damaged_is_none(releases: Releases, state: StateFolder):
    (state.releases / hex_of(OLD) / "onnx").write_bytes(b"rust")

    with pytest.raises(EngineError, match=rf"2\.0\.0 .* {OLD}, is not here whole"):
        before(releases, newest(releases), ERROR)


def test_what_got_through_its_probation_leads_nowhere(releases: Releases):
    releases.slots.end_trial("m")

    with pytest.raises(EngineError) as raised:
        before(releases, newest(releases), ERROR)

    assert raised.value is ERROR
    take_back(releases, newest(releases), ERROR)
    assert releases.slots.of("m").rejection is None


def test_what_is_on_probation_leads_to_nothing_that_is_assigned(releases: Releases):
    out = way_out(releases, newest(releases), ERROR, pytest.fail)
    out.note()

    assert out.release.digest == OLD
    assert releases.slots.of("m").rejection is not None


def test_what_is_on_no_probation_leads_to_what_is_assigned(releases: Releases, state: StateFolder):
    releases.slots.end_trial("m")
    here(state, MENDED)
    mended = releases.here("m", digest_of(MENDED))
    assert mended is not None

    out = way_out(releases, newest(releases), ERROR, lambda _: mended)
    assert out.release == mended
    assert releases.slots.of("m").trial is None  # it may not load, either
    out.note()

    trial = Candidate(model_id="m", version="1.0.0", digest=digest_of(MENDED))
    assert releases.slots.of("m") == Slots(previous=OLD, trial=trial)


class Sick(LinkActivator):
    """Says of what runs, unless that is what ran first, that it is not well."""

    def problem(self, model_id: str) -> str | None:
        return None if self.running(model_id) == OLD else "half of the requests fail"


@pytest.mark.parametrize(
    ("last_run", "expected"), [(NEW, OLD), (OLD, digest_of(MENDED))], ids=["the last", "the first"]
)
def test_a_rescue_that_fails_its_probation_does_not_lead_to_what_cannot_be_loaded(
    releases: Releases, state: StateFolder, last_run: str, expected: str
):
    """It leads to what ran before that; where nothing did, it stays."""
    if last_run == NEW:
        releases.slots.end_trial("m")
    else:  # it died on its way back
        take_back(releases, newest(releases), ERROR)
    here(state, MENDED)
    begun, mended = releases.here("m", last_run), releases.here("m", digest_of(MENDED))
    assert begun is not None
    assert mended is not None
    way_out(releases, begun, ERROR, lambda _: mended).note()
    activator = Sick(state)
    activator.activate(mended)
    windows: dict[str, Any] = {"lasts_s": 600.0, "retry_s": 60.0, "clock": lambda: 0.0}
    probation = Probation(releases, activator, releases.slots, None, **windows, say=print)

    probation.look("m")

    slots = releases.slots.of("m")
    assert activator.running("m") == expected
    assert (slots.previous, slots.trial) == (None, None)
    assert slots.rejection is not None
    assert slots.rejection.candidate.digest == digest_of(MENDED)


def test_what_ran_before_and_is_assigned_is_on_no_probation(releases: Releases):
    releases.slots.end_trial("m")

    way_out(releases, newest(releases), ERROR, lambda _: releases.here("m", OLD)).note()

    assert releases.slots.of("m") == Slots()


def test_where_nothing_else_is_assigned_there_is_no_way_out(releases: Releases):
    releases.slots.end_trial("m")

    with pytest.raises(EngineError) as raised:
        way_out(releases, newest(releases), ERROR, lambda _: None)

    assert raised.value is ERROR


def test_what_is_assigned_and_not_to_be_had_is_told(releases: Releases):
    releases.slots.end_trial("m")

    def nobody_answers(_: Release) -> Release:
        raise ServiceUnavailableError("nobody answers")

    with pytest.raises(EngineError, match=r"^2\.0\.0 .*half of it is missing; .*nobody answers"):
        way_out(releases, newest(releases), ERROR, nobody_answers)


def assigned_instead(state: StateFolder, begun: Release, *answers: Answer) -> Release | None:
    with scripted(*answers) as script, Device(script, state) as device:
        releases = Releases(state, device.session.api, Downloader(device.session.api))
        first = FirstReleases(device.session, releases, say=pytest.fail, wait=pytest.fail)
        return first.assigned_instead(begun)


def test_what_is_assigned_instead_is_fetched(releases: Releases, state: StateFolder):
    answers = told(MENDED), enveloped(MENDED), LINK, Answer(CONTENT)

    found = assigned_instead(state, newest(releases), *answers)

    assert found is not None
    assert found.digest == digest_of(MENDED)
    assert found.files["onnx"].read_bytes() == CONTENT


def test_what_cannot_be_loaded_or_was_taken_back_is_not_assigned_instead(
    releases: Releases, state: StateFolder
):
    begun = newest(releases)
    take_back(releases, begun, ERROR)
    old = releases.here("m", OLD)
    assert old is not None
    back = {**offer(BETTER), "version": "2.0.0"}  # it is not even asked whose word that is

    assert assigned_instead(state, old, plan(back, offer(model_id="other"))) is None
    assert assigned_instead(state, old, told()) is None
    assert assigned_instead(state, old, plan()) is None
