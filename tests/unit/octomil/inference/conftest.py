from collections.abc import Iterator

import pytest

from support.inference_server import InferenceServer, inference_server


@pytest.fixture(scope="module")
def running_server() -> Iterator[InferenceServer]:
    with inference_server() as server:
        yield server


@pytest.fixture
def server(running_server: InferenceServer) -> InferenceServer:
    """The server as it was, with nothing seen."""
    running_server.forget()
    return running_server
