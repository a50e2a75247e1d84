"""What comes before there is a request is bounded on the control plane as on a node."""

from collections.abc import Iterator

import pytest

from octomil.asgi.connections import MAX_HEAD_BYTES
from support.caller import Caller
from support.control import upping
from support.serving import ServeProcess


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    with upping(tmp_path_factory.mktemp("up") / "data") as served:
        yield served


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"GET / HTTP/1.1\r\nX: " + b"x" * MAX_HEAD_BYTES, 431, b"headers_too_large"),
        (b"this is no HTTP\r\n\r\n", 400, b"bad_request"),
    ],
)
def test_what_is_no_request_is_refused_in_the_api_s_form(
    served: ServeProcess, sent: bytes, status: int, code: bytes
):
    with Caller(served.url.replace("localhost", "127.0.0.1")) as caller:
        caller.send(sent)
        answer = caller.response()
        body = answer.read()

        assert answer.status == status
        assert b'"error":"%b"' % code in body
        assert b'"request_id":"' in body
        assert caller.is_hung_up()
