"""Fixtures every test may use."""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from support.ledger import Ledger
from support.models import model_cache_dir
from support.postgres import postgres_server
from support.s3 import s3_server
from support.serving import ServeProcess, serving

# How long an example takes says how busy the machine is. The examples are the same in every run, so
# that one which passed says what the next will; `--hypothesis-profile=exploring` draws others, as
# the campaign `agreement` does.
settings.register_profile("exploring", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("exploring"), derandomize=True)
settings.load_profile("same")


def pytest_configure(config: pytest.Config) -> None:
    # A shell's background jobs ignore Ctrl-C, what `nohup` starts ignores that its terminal is
    # gone, and so would the processes that tests send such signals to.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    config.pluginmanager.register(Ledger())


@pytest.fixture(scope="session")
def echo_server() -> Iterator[ServeProcess]:
    """A node that serves two echo models with auto-routing; shared, so leave it as it was."""
    with serving("--models", "echo:small,echo:large", "--auto-route") as served:
        yield served


@pytest.fixture(scope="session")
def model_cache(monkeypatch_session: pytest.MonkeyPatch) -> None:
    """Real models are kept between runs, outside the repository."""
    monkeypatch_session.setenv("OCTOMIL_CACHE_DIR", str(model_cache_dir()))


@pytest.fixture(scope="session")
def monkeypatch_session() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="session")
def smollm_server(model_cache: None) -> Iterator[ServeProcess]:
    """A node with one real model; shared, so leave it as it was."""
    with serving("smollm2-135m", "--threads", "1") as served:
        yield served


@pytest.fixture(scope="session")
def routed_server(model_cache: None) -> Iterator[ServeProcess]:
    """A node that routes between two real models; shared, so leave it as it was."""
    with serving("--models", "smollm2-135m,qwen2.5-coder-1.5b", "--auto-route") as served:
        yield served


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A Postgres server's URL; make databases of your own on it (`support.postgres`)."""
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables that lead to an S3 server with a bucket; take a prefix of your own in it."""
    with s3_server(tmp_path_factory.mktemp("s3") / "server.log") as variables:
        yield variables
