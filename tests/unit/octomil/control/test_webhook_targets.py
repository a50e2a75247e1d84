import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octomil.control.services.webhook_targets import check_url, is_public
from octomil.errors import BadRequestError


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "192.168.0.1",
        "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255", "192.0.2.1",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "2001:db8::1",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a00:1",
        "2002:7f00:1::", "2002:a00:1::1", "64:ff9b:1::7f00:1", "::127.0.0.1", "::10.0.0.1",
        "::ffff:0:127.0.0.1", "fec0::1", "192.88.99.1", "3fff::1", "5f00::1",
    ],
)  # fmt: skip
def test_no_address_of_a_private_network_is_public(address: str):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1"]
)
def test_ordinary_addresses_are_public(address: str):
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_no_disguise_of_an_address_makes_it_public(address: ipaddress.IPv4Address):
    number = int(address)
    disguises = [
        ipaddress.IPv6Address((0xFFFF << 32) | number),
        ipaddress.IPv6Address((0x2002 << 112) | (number << 80)),
        ipaddress.IPv6Address((0x64FF9B << 96) | number),
        ipaddress.IPv6Address((0xFFFF << 48) | number),
        ipaddress.IPv6Address(number),
    ]

    for disguise in disguises:
        assert is_public(str(address)) or not is_public(str(disguise))


@pytest.mark.parametrize(
    "url", ["https://example.com/hook", "http://example.com:8080/?a=b", "https://1.1.1.1/"]
)
def test_a_public_url_is_fine(url: str):
    check_url(url, allow_private=False)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://localhost/", "https://[::1]/"])
def test_a_private_one_is_where_that_is_allowed(url: str):
    with pytest.raises(BadRequestError, match="not a public address"):
        check_url(url, allow_private=False)
    check_url(url, allow_private=True)


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "gopher://x/", "//example.com", "http:"])
def test_what_is_no_url_of_a_receiver_is_refused(url: str):
    with pytest.raises(BadRequestError, match="url"):
        check_url(url, allow_private=True)
