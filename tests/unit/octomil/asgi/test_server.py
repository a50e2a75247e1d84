import pytest

from octomil.asgi.server import base_url


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://localhost:8080"),
        ("::1", "http://localhost:8080"),
        ("0.0.0.0", "http://0.0.0.0:8080"),
        ("::", "http://[::]:8080"),
        ("fe80::1", "http://[fe80::1]:8080"),
        ("box.lan", "http://box.lan:8080"),
    ],
)
def test_address_is_told_as_a_url(host, url):
    assert base_url(host, 8080) == url
