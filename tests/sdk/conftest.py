from collections.abc import Iterator

import pytest

from octomil.sdk.model_registry import ModelRegistry
from support.sdk import Place, control_place


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A control plane for all tests here; each has models of its own."""
    with control_place(tmp_path_factory.mktemp("up") / "data") as place:
        yield place


@pytest.fixture
def registry(
    place: Place, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModelRegistry]:
    monkeypatch.setenv("OCTOMIL_STATE_DIR", str(tmp_path_factory.mktemp("state")))
    with place.registry() as registry:
        yield registry
