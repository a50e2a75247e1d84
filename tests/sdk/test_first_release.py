"""What a serving node begins with, as a real control plane tells it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from octomil.device.activation import LinkActivator
from octomil.device.first_release import FirstReleases
from octomil.device.options import DeviceOptions
from octomil.device.releases import Release, Releases
from octomil.device.session import Session, open_session
from octomil.device.state import open_state_folder
from octomil.errors import UnauthorizedError
from octomil.http.records import Record
from octomil.sdk.downloads import Downloader
from octomil.sdk.model_registry import ModelRegistry
from support.model_files import safetensors_file
from support.sdk import Place, control_place
from support.waiting import eventually

NAME = "speaker"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A control plane of one's own: a rollout reaches every device of it."""
    with control_place(tmp_path / "up") as place:
        yield place


@pytest.fixture
def registry(place: Place) -> Iterator[ModelRegistry]:
    with place.registry() as registry:
        yield registry


class Beginner:
    """A device, and what it said while it looked for its first release."""

    def __init__(
        self, session: Session, releases: Releases, first: FirstReleases, links: LinkActivator
    ) -> None:
        self.session = session
        self.releases = releases
        self.first = first
        self.links = links

    def assigned(self) -> list[Record]:
        path = f"/devices/{self.session.device_id}/assignments"
        return self.session.api.get(path).assignments

    def find(self, version: str) -> Release:
        return self.first.find(NAME, version)


@contextmanager
def beginner(
    place: Place,
    folder: Path,
    *,
    key: str | None = None,
    say: Callable[[str], None] = print,
    wait: Callable[[], object] = lambda: pytest.fail("there was nothing to wait for"),
) -> Iterator[Beginner]:
    options = DeviceOptions(
        api_base=place.served.url,
        bootstrap_token=key or place.key,
        identifier="n1",
        state_dir=folder,
    )
    settings = options.settings()
    with open_state_folder(options.folder(settings)) as state:
        session = open_session(state, settings, options)
        releases = Releases(state, session.api, Downloader(session.api))
        first = FirstReleases(session, releases, say=say, wait=wait)
        try:
            yield Beginner(session, releases, first, LinkActivator(state))
        finally:
            session.close()


def published(registry: ModelRegistry, folder: Path, *numbers: str) -> str:
    """Publish versions of the model, and return its id."""
    model = registry.ensure_model(NAME, "pytorch", "tests")
    for number in numbers:
        path = folder / f"{number}.safetensors"
        path.write_bytes(safetensors_file(w=[float(number[0])]))
        registry.upload_version_from_path(model.id, path, number)
        registry.publish_version(model.id, number)
    return model.id


def test_alias_number_and_latest_mean_what_they_say(
    place: Place, registry: ModelRegistry, tmp_path: Path
):
    model_id = published(registry, tmp_path, "1.0.0", "2.0.0", "3.0.0")
    registry.set_alias(model_id, "production", "2.0.0")

    with beginner(place, tmp_path / "device") as device:
        found = {word: device.find(word) for word in ("1.0.0", "production", "latest")}

    numbers = {word: release.version for word, release in found.items()}
    assert numbers == {"1.0.0": "1.0.0", "production": "2.0.0", "latest": "3.0.0"}
    release = found["production"]
    assert release.digest == registry.get_version(model_id, "2.0.0").digest
    assert release.files["safetensors"].read_bytes() == safetensors_file(w=[2.0])


def test_what_is_assigned_wins_over_the_alias_but_not_over_a_number(
    place: Place, registry: ModelRegistry, tmp_path: Path
):
    model_id = published(registry, tmp_path, "1.0.0", "2.0.0")
    registry.set_alias(model_id, "production", "1.0.0")
    registry.deploy_version(model_id, "2.0.0")

    with beginner(place, tmp_path / "device") as device:
        eventually(device.assigned)
        found = [device.find(word).version for word in ("production", "1.0.0")]

    assert found == ["2.0.0", "1.0.0"]


def test_what_ran_last_goes_before_what_is_assigned(
    place: Place, registry: ModelRegistry, tmp_path: Path
):
    model_id = published(registry, tmp_path, "1.0.0", "2.0.0")
    registry.set_alias(model_id, "production", "1.0.0")

    with beginner(place, tmp_path / "device") as device:
        device.links.activate(device.find("production"))
        registry.deploy_version(model_id, "2.0.0")
        eventually(device.assigned)

        assert device.find("production").version == "1.0.0"
        assert device.releases.running(NAME) is not None
        assert device.releases.running("another") is None


def test_it_waits_until_there_is_one_and_says_each_reason_once(
    place: Place, registry: ModelRegistry, tmp_path: Path
):
    steps = iter(
        (
            lambda: None,
            lambda: published(registry, tmp_path, "1.0.0"),
            lambda: None,
            lambda: registry.set_alias(
                registry.ensure_model(NAME, "pytorch", "tests").id, "production", "1.0.0"
            ),
        )
    )
    lines: list[str] = []

    def take_step() -> None:
        next(steps)()

    with beginner(place, tmp_path / "device", say=lines.append, wait=take_step) as device:
        assert device.find("production").version == "1.0.0"

    assert len(lines) == 2
    assert f"no model '{NAME}'" in lines[0]
    assert "production" in lines[1]
    assert next(steps, None) is None


def test_token_that_is_not_taken_is_no_reason_to_wait(place: Place, tmp_path: Path):
    with (
        beginner(place, tmp_path / "device", key="edg_wrong") as device,
        pytest.raises(UnauthorizedError),
    ):
        device.find("production")
