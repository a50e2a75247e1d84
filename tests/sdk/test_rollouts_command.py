"""`octomil deploy` and `octomil rollouts` against a real `octomil up`, with a real device."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from octomil.cli.rollouts import devices_of
from octomil.http.records import Record
from octomil.sdk.model_registry import ModelRegistry
from support.model_files import safetensors_file
from support.sdk import Place, control_place, octomil
from support.waiting import eventually


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A control plane of one's own, with one device and two versions."""
    with control_place(tmp_path / "up") as place:
        with place.registry() as registry:
            model = registry.ensure_model("mnist", "pytorch", "tests")
            for number in ("1.0.0", "2.0.0"):
                path = tmp_path / f"{number}.bin"
                path.write_bytes(safetensors_file(w=[float(number[0])]))
                registry.upload_version_from_path(model.id, path, number)
                registry.publish_version(model.id, number)
        device(place, tmp_path)
        yield place


@pytest.fixture
def registry(place: Place) -> Iterator[ModelRegistry]:
    with place.registry() as registry:
        yield registry


@pytest.fixture
def run(place: Place) -> Callable[..., str]:
    """Run a command that must succeed; return what it printed."""

    def run_words(*words: str) -> str:
        done = octomil(*words, **place.env)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run_words


def device(place: Place, folder: Path, name: str = "box-1") -> None:
    """Let the device in, or let it look once more what to run."""
    words = ("device", "run", "--server", place.served.url, "--identifier", name, "--once")
    state = str(folder / "device")
    done = octomil(*words, "--state-dir", state, OCTOMIL_BOOTSTRAP_TOKEN=place.key)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_version_is_deployed_to_a_share_and_watched_to_its_end(
    run: Callable[..., str], place: Place, tmp_path: Path
):
    times = ("--first", "100", "--dwell", "0", "--health-window", "0")
    begun = json.loads(run("deploy", "mnist@1.0.0", *times, "--detach", "--json"))
    assert (begun["status"], begun["rollout_percentage"]) == ("active", 100)

    def has_taken_it() -> bool:
        device(place, tmp_path)
        return any((tmp_path / "device" / "active").iterdir())

    eventually(has_taken_it)  # as soon as a wave reaches it

    watched = run("rollouts", "watch", "mnist")

    assert watched.splitlines()[0].endswith("start, active, offered to 1 % of 100 %")
    assert "complete, completed, offered to 100 % of 100 %: 0 of 1 devices failed" in watched
    (stands,) = json.loads(run("rollouts", "devices", "mnist", "--json"))
    assert (stands["state"], stands["version"]) == ("succeeded", "1.0.0")
    assert "succeeded" in run("rollouts", "devices", "mnist")


def test_the_devices_of_a_rollout_are_asked_for_page_by_page(
    registry: ModelRegistry, place: Place, tmp_path: Path
):
    everybody = {"rollout_percentage": 100, "pacing": {"first_percentage": 100}}
    model = registry.ensure_model("mnist", "pytorch", "tests")
    rollout = registry.create_rollout(model.id, "1.0.0", **everybody)
    for name in ("box-1", "box-2", "box-3"):
        device(place, tmp_path / name, name)

    one = registry.rollouts.get_affected_devices(model.id, rollout.id, limit=2)
    two = registry.rollouts.get_affected_devices(model.id, rollout.id, cursor=one.next_cursor)
    walked = list(devices_of(registry, rollout, page=1))

    assert (len(one), len(two), two.next_cursor) == (2, 1, None)
    assert [each.device_id for each in walked] == [each.device_id for each in (*one, *two)]
    assert {each.version for each in walked} == {"1.0.0"}


def test_a_rollout_is_steered_in_the_shell(run: Callable[..., str]):
    begun = run("deploy", "mnist@2.0.0", "--to", "50%", "--by-hand", "--detach")
    assert begun.startswith("mnist@2.0.0: rol_")

    said = [
        run("rollouts", "pause", "mnist", "--reason", "lunch"),
        run("rollouts", "resume", "mnist"),
        run("rollouts", "set", "mnist", "25%"),
        run("rollouts", "advance", "mnist", "--by", "5"),
        run("rollouts", "rollback", "mnist"),
    ]

    states = [line.partition(" is ")[2].split(",")[0] for line in said]
    assert states == ["paused", "active", "active", "active", "rolled back"]
    assert [line.split()[-2] for line in said] == ["10", "10", "25", "30", "30"]
    history = run("rollouts", "history", "mnist")
    assert "pause, paused" in history
    assert ": lunch (key:" in history
    assert run("rollouts", "unblock", "mnist@2.0.0") == "mnist@2.0.0 may be rolled out\n"
    assert "is no more" in run("rollouts", "delete", "mnist", "--force")


def test_watching_a_version_that_fails_ends_with_an_error(registry: ModelRegistry, place: Place):
    model = registry.resolve_model_id("mnist")
    rollout = registry.create_rollout(model, "2.0.0")
    registry.rollouts.rollback(model, rollout.id, "by hand")

    done = octomil("rollouts", "watch", "mnist", **place.env)

    assert done.returncode == 1
    assert "the rollout is rolled back: by hand" in done.stderr
    assert "Traceback" not in done.stderr


def paused_with_a_wave_left(registry: ModelRegistry, model: str) -> Record:
    """Begin a rollout that takes no wave until it is resumed, and has one to take then.

    Where its one device has its place is drawn with its id: a wave that reaches nobody is taken at
    once, so that the last one may be gone before the pause. Then another is begun.
    """
    waves = {"first_percentage": 1, "interval_s": 5}
    at_once = {"rollout_percentage": 100, "dwell_s": 0, "health_window_s": 0}
    while True:
        begun = registry.create_rollout(model, "2.0.0", **at_once, pacing=waves)
        paused = registry.rollouts.pause(model, begun.id)
        if paused.offered_percentage < 100:
            return paused
        registry.rollouts.delete(model, begun.id, force=True)


def test_watching_a_rollout_whose_file_is_lost_ends_with_the_reason(
    registry: ModelRegistry, place: Place, tmp_path: Path
):
    lost = hashlib.sha256((tmp_path / "2.0.0.bin").read_bytes()).hexdigest()
    (blob,) = (tmp_path / "up").rglob(lost)
    rollout = paused_with_a_wave_left(registry, registry.resolve_model_id("mnist"))
    blob.unlink()
    registry.rollouts.resume(rollout.model_id, rollout.id)

    done = octomil("rollouts", "watch", "mnist", timeout_s=300, **place.env)  # two looks, a minute

    assert done.returncode == 1
    assert "the rollout is failed: the file '2.0.0.bin'" in done.stderr
    assert f"sha256:{lost}" in done.stderr
    assert "Traceback" not in done.stderr


def test_watching_ends_where_the_gates_leave_it_to_people(registry: ModelRegistry, place: Place):
    model = registry.resolve_model_id("mnist")
    registry.create_rollout(
        model, "2.0.0", rollout_percentage=100, dwell_s=0, patience_s=0, health_window_s=0
    )  # the device does not look any more, so that nobody can tell anything

    done = octomil("rollouts", "watch", "mnist", **place.env)

    assert done.returncode == 1
    assert "the rollout paused by itself: 0 of 0 devices failed" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("deploy", "mnist@1.0.0", "--to", "0%"), "--to"),
        (("deploy", "mnist@1.0.0", "--to", "a lot"), "write 10%"),
        (("deploy", "mnist@1.0.0", "--to", "101%"), "write 10%"),
        (("deploy", "mnits@1.0.0"), "mnist"),
        (("rollouts", "pause", "mnist"), "octomil deploy mnist"),
        (("rollouts", "puase", "mnist"), "did you mean `pause`"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_hint(
    place: Place, words: tuple[str, ...], hint: str
):
    done = octomil(*words, **place.env)

    assert done.returncode != 0
    assert hint in done.stderr
    assert "Traceback" not in done.stderr
