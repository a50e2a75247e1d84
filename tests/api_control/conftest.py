import resource
import signal
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from octomil.control.api.event_streams import EventStream
from octomil.control.plane import ControlPlane
from support.control import (
    WallClock,
    bearer,
    client_of,
    control_plane,
    key_of,
    printed_key,
    upping,
)
from support.inference import INFERENCE, asked, nobody
from support.registry import new_model
from support.rollouts import Who, device, published
from support.serving import ServeProcess
from support.upstream import FakeUpstream, fake_upstream


@pytest.fixture
def clock() -> WallClock:
    return WallClock()


@pytest.fixture
def plane(tmp_path: Path, clock: WallClock) -> Iterator[ControlPlane]:
    with control_plane(tmp_path, clock) as plane:
        yield plane


@pytest.fixture
async def admin(plane: ControlPlane) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a key that is good for everything in the organisation `default`."""
    async with client_of(plane, key_of(plane)) as client:
        yield client


@pytest.fixture
async def anybody(plane: ControlPlane) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    async with client_of(plane) as client:
        yield client


@pytest.fixture
def small_files() -> Iterator[None]:
    """Let no file of this process grow beyond 200 KiB, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200 << 10, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
async def model(admin: httpx.AsyncClient) -> str:
    """A model of which two versions are published."""
    model_id = await new_model(admin)
    for number in ("1.0.0", "2.0.0"):
        await published(admin, model_id, number)
    return model_id


@pytest.fixture
async def fleet(admin: httpx.AsyncClient) -> dict[str, Who]:
    """Thirty devices by their ids: enough for every share below to have some in it."""
    found = [await device(admin, f"box-{number}") for number in range(30)]
    return {each[0]: each for each in found}


@pytest.fixture(scope="module")
def openai_server() -> Iterator[FakeUpstream]:
    with fake_upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def served(
    openai_server: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServeProcess]:
    """A control plane whose first backend is out of reach; the second one is `upstream`."""
    with nobody() as url:
        env = {**openai_server.env, "OLLAMA_BASE_URL": url}
        with upping(tmp_path_factory.mktemp("inference") / "data", env=env) as served:
            yield served


@pytest.fixture(scope="module")
def key(served: ServeProcess) -> str:
    """The admin key of `served`."""
    key = printed_key(served)
    assert key is not None
    return key


@pytest.fixture
def upstream(openai_server: FakeUpstream, served: ServeProcess, key: str) -> FakeUpstream:
    """The backend of `served`, which has just answered: no test makes it look broken for others."""
    openai_server.forget()
    assert served.post(INFERENCE, asked("hello"), headers=bearer(key)).status_code == 200
    openai_server.forget()
    return openai_server


@pytest.fixture
def patient_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the headers of streams wait for the first event, on however busy a machine."""
    patient = partial(EventStream, patience_s=1e6)
    monkeypatch.setattr("octomil.control.api.inference.EventStream", patient)
