"""Calls to the control plane, against a real server that answers as told."""

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from octomil.errors import (
    API_ERRORS,
    ApiError,
    BadRequestError,
    ConfigurationError,
    InternalError,
    OctomilClientError,
    RateLimitedError,
    ServerUnreachableError,
    ServiceUnavailableError,
    UnexpectedAnswerError,
)
from octomil.http.api import ApiClient, api_base
from octomil.http.exchange import Request
from support.scripted import Answer, Script, problem, scripted


@contextmanager
def calling(*answers: Answer) -> Iterator[tuple[ApiClient, Script, list[float]]]:
    """A client of a server that gives these answers, and how long it waited before each try."""
    waits: list[float] = []
    with (
        scripted(*answers) as script,
        ApiClient(script.url, lambda: "edg_1", sleep=waits.append, rng=random.Random(1)) as api,
    ):
        yield api, script, waits


def test_a_call_brings_the_key_and_reads_the_answer_in_both_ways():
    with calling(Answer({"id": "m", "files": [{"size": 3}]})) as (api, script, _):
        model = api.get("/models/m", framework="pytorch", use_case=None)

    assert (model.id, model["id"], model.files[0].size) == ("m", "m", 3)
    assert script.asked[0].path == "/api/v1/models/m?framework=pytorch"
    assert script.asked[0].headers["authorization"] == "Bearer edg_1"
    with pytest.raises(AttributeError, match="no field 'name'; it has id, files"):
        _ = model.name


@pytest.mark.parametrize("code", API_ERRORS)
def test_every_error_of_the_server_is_its_class_again(code: str):
    kind = API_ERRORS[code]
    refusal = problem(code, kind.status, message="no such thing; make one", field="name")
    with calling(refusal) as (api, _, _), pytest.raises(OctomilClientError) as caught:
        api.get("/models")

    error = caught.value
    assert type(error) is kind
    assert str(error) == "no such thing; make one"
    assert (error.request_id, error.details) == ("req-1", {"field": "name"})


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [("teapot", 418, BadRequestError), ("slow_down", 429, RateLimitedError),
     ("melted", 507, InternalError)],
)  # fmt: skip
def test_a_code_of_a_later_server_is_the_class_of_its_status(code, status, kind):
    with calling(problem(code, status)) as (api, _, _), pytest.raises(kind, match=code):
        api.get("/models")


@pytest.mark.parametrize("status", [408, 425, 429, 502, 503, 504])
def test_what_may_pass_is_tried_again(status: int):
    answers = Answer(b"busy", status), Answer(b"busy", status), Answer({"id": "m"})
    with calling(*answers) as (api, script, waits):
        assert api.get("/models/m").id == "m"

    assert len(script.asked) == 3
    assert len(waits) == 2
    assert waits[0] < waits[1]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 500, 501])
def test_what_will_not_pass_is_not(status: int):
    kinds = {kind.status: code for code, kind in API_ERRORS.items()}
    with calling(problem(kinds[status], status)) as (api, script, waits), pytest.raises(ApiError):
        api.get("/models/m")

    assert len(script.asked) == 1
    assert waits == []


def test_the_server_says_how_long_to_wait():
    busy = problem("rate_limited", 429, headers={"Retry-After": "7"})
    with calling(busy, Answer({})) as (api, _, waits):
        api.get("/models")

    assert waits == [7.0]


def test_a_wait_that_is_too_long_is_an_error_at_once():
    busy = problem("rate_limited", 429, headers={"Retry-After": "3600"})
    with calling(busy) as (api, script, waits), pytest.raises(RateLimitedError):
        api.get("/models")

    assert (len(script.asked), waits) == (1, [])


def test_patience_ends_with_the_servers_own_words():
    down = problem("service_unavailable", 503, message="the disk is full")
    with (
        calling(down) as (api, script, waits),
        pytest.raises(ServiceUnavailableError, match="full"),
    ):
        api.get("/models")

    assert (len(script.asked), len(waits)) == (4, 3)


@pytest.mark.parametrize("method", ["post", "put", "patch"])
def test_the_tries_of_a_request_that_writes_bear_one_key_and_two_requests_do_not(method: str):
    with calling(Answer(b"", 502), Answer({})) as (api, script, _):
        write = getattr(api, method)
        write("/models", {"name": "a"})
        write("/models", {"name": "a"})

    first, again, second = (asked.headers["idempotency-key"] for asked in script.asked)
    assert first == again != second
    assert [asked.json for asked in script.asked] == [{"name": "a"}] * 3


def test_what_may_not_be_repeated_is_sent_once():
    request = Request(method="POST", path="/models", json={}, is_repeatable=False)
    unavailable = problem("service_unavailable", 503)
    with calling(unavailable) as (api, script, _), pytest.raises(ServiceUnavailableError):
        api.call(request)

    assert len(script.asked) == 1


@pytest.mark.parametrize(
    "url",
    ["http://[", "http://x/\ud800", "http://\ud800/", "http://\0/", "http://..../", "ftp://x"],
)
def test_a_link_that_leads_nowhere_is_an_error_of_the_server(url: str):
    with calling(Answer({})) as (api, script, _), pytest.raises(OctomilClientError):
        api.get(url)

    assert script.asked == []


def test_a_body_that_is_not_packed_as_it_says_is_an_error_of_the_server():
    torn = Answer(b"no gzip", headers={"Content-Encoding": "gzip"})
    with calling(torn) as (api, _, _), pytest.raises(OctomilClientError):
        api.get("/models")


def test_a_server_that_is_not_there_is_named_with_what_to_do():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    waits: list[float] = []
    with ApiClient(url, None, sleep=waits.append) as api, pytest.raises(ConnectionError) as caught:
        api.get("/models")

    assert isinstance(caught.value, ServerUnreachableError)
    assert isinstance(caught.value, OctomilClientError)
    assert f"{url}/api/v1/models" in str(caught.value)
    assert "`octomil up`" in str(caught.value)
    assert len(waits) == 3


def test_an_answer_that_breaks_off_is_a_server_out_of_reach():
    cut = Answer(b'{"id": "m"}', cut=4)
    with calling(cut) as (api, script, _), pytest.raises(ServerUnreachableError):
        api.get("/models/m")
    with calling(cut, Answer({"id": "m"})) as (api, _, _):
        assert api.get("/models/m").id == "m"

    assert len(script.asked) == 4


@pytest.mark.parametrize(
    "answer",
    [
        Answer(b"<html>hello</html>", headers={"Content-Type": "text/html"}),
        Answer(b"<html>gone</html>", 404, {"Content-Type": "text/html"}),
        Answer(["not", "a", "problem"], 400),
        Answer(b"", 302, {"Location": "http://127.0.0.1:1/"}),
    ],
)
def test_what_is_no_control_plane_is_said_to_be_none(answer: Answer):
    with calling(answer) as (api, _, _), pytest.raises(UnexpectedAnswerError) as caught:
        api.get("/models")

    assert str(answer.status) in str(caught.value)
    assert "OCTOMIL_API_BASE" in str(caught.value)


def test_a_request_for_anybody_shows_no_key():
    with calling(Answer({})) as (api, script, _):
        api.call(Request(method="GET", path="/file", is_authorised=False))

    assert "authorization" not in script.asked[0].headers


@pytest.mark.parametrize("text", ["", "localhost:8000", "ftp://x", "http://", "models"])
def test_what_is_no_address_is_refused(text: str):
    with pytest.raises(ConfigurationError, match="no address"):
        api_base(text)
