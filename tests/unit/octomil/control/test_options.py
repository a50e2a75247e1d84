from pathlib import Path

import pytest

from octomil.control.options import ControlOptions, require_public_url
from octomil.errors import ConfigurationError


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST"])
def test_loopback_needs_no_certificate(host: str):
    assert ControlOptions(host=host).tls_cert is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "box.lan"])
def test_other_addresses_need_one_or_a_word_that_it_is_meant(host: str):
    with pytest.raises(ConfigurationError, match="in the clear"):
        ControlOptions(host=host)

    assert ControlOptions(host=host, insecure=True).host == host


def test_a_certificate_needs_its_key_and_both_must_be_there(tmp_path: Path):
    there = tmp_path / "server.pem"
    there.write_text("x", encoding="utf-8")

    with pytest.raises(ConfigurationError, match="belong together"):
        ControlOptions(tls_cert=there)
    with pytest.raises(ConfigurationError, match="no file"):
        ControlOptions(tls_cert=there, tls_key=tmp_path / "nowhere.pem")
    assert ControlOptions(host="0.0.0.0", tls_cert=there, tls_key=there).tls_key == there


@pytest.mark.parametrize("proxy", ["", "*", "proxy.lan", "10.0.0.1/24", "10.0.0.0/33"])
def test_a_trusted_proxy_is_an_address_or_a_network(proxy: str):
    with pytest.raises(ConfigurationError, match="no address of a proxy"):
        ControlOptions(trusted_proxies=("::1", proxy))

    assert ControlOptions(trusted_proxies=("10.0.0.0/24", "fd00::1")).trusted_proxies


def test_the_memory_for_bodies_has_room_for_one():
    with pytest.raises(ConfigurationError, match="--body-memory"):
        ControlOptions(body_memory_mib=0)

    assert ControlOptions(body_memory_mib=1).body_memory_mib == 1


@pytest.mark.parametrize("option", ["open_uploads", "open_upload_gib", "open_generations"])
def test_an_upload_and_an_answer_can_always_begin(option: str):
    with pytest.raises(ConfigurationError, match="no upload or no answer could begin"):
        ControlOptions(**{option: 0})

    assert getattr(ControlOptions(**{option: 1}), option) == 1


def test_an_empty_host_is_refused():
    with pytest.raises(ConfigurationError, match="empty"):
        ControlOptions(host=" ")


@pytest.mark.parametrize("url", ["http://a", "https://a:8443", "https://[::1]:1/x/", "HTTPS://a/"])
def test_a_public_url_is_one_of_http(url: str):
    assert require_public_url(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url", ["", "a.example", "ftp://a", "https://", "https://u:p@a", "https://a?x=1", "http://a:x"]
)
def test_what_clients_cannot_reach_is_no_public_url(url: str):
    with pytest.raises(ConfigurationError, match="no URL"):
        require_public_url(url)
