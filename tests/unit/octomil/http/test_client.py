import pytest

from octomil.http.client import USER_AGENT, HttpClient
from octomil.http.retry import TemporaryHttpError
from support.hub import HubFile, running_hub


def test_head_does_not_follow_a_redirect():
    with running_hub() as hub, HttpClient() as http:
        hub.files["acme/tiny/a.bin"] = HubFile(b"abc")

        response = http.head(f"{hub.url}/acme/tiny/resolve/main/a.bin", {})

    assert response.status_code == 302
    assert response.headers["X-Linked-Size"] == "3"


def test_stream_follows_redirects_to_the_bytes():
    with running_hub() as hub, HttpClient() as http:
        hub.files["acme/tiny/a.bin"] = HubFile(b"abc")

        with http.stream(f"{hub.url}/acme/tiny/resolve/main/a.bin", {}) as response:
            assert response.read() == b"abc"


def test_credentials_stay_with_the_origin_they_are_for():
    with running_hub() as hub, running_hub() as elsewhere, HttpClient() as http:
        elsewhere.pages["/stored"] = b"abc"
        hub.fail_next(302, Location=f"{elsewhere.url}/stored")

        with http.stream(f"{hub.url}/x", {"Authorization": "Bearer secret"}) as response:
            response.read()

    assert hub.seen[0].authorization == "Bearer secret"
    assert elsewhere.seen[0].authorization is None


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_status_that_may_pass_is_temporary_and_keeps_the_servers_wish(status):
    with running_hub() as hub, HttpClient() as http:
        hub.fail_next(status, Retry_After="9")

        with pytest.raises(TemporaryHttpError, match=str(status)) as caught:
            http.head(hub.url, {})

    assert caught.value.retry_after_s == 9.0


def test_a_body_cut_in_the_middle_is_temporary():
    with running_hub() as hub, HttpClient() as http:
        hub.pages["/big"] = bytes(1000)
        hub.cuts.append(100)

        with (
            pytest.raises(TemporaryHttpError, match=r"no answer from 127\.0\.0\.1"),
            http.stream(f"{hub.url}/big", {}) as response,
        ):
            response.read()


def test_a_closed_port_is_temporary():
    with HttpClient() as http, pytest.raises(TemporaryHttpError, match=r"127\.0\.0\.1"):
        http.head("http://127.0.0.1:9/", {})


def test_it_says_who_it_is():
    assert USER_AGENT.startswith("octomil-oss/")
