import pytest

from octomil.errors import ConfigurationError
from octomil.serve.options import ServeOptions


@pytest.mark.parametrize("key", ["", " ", "\t", " secret", "secret\n"])
def test_key_that_asks_for_none_or_that_nobody_can_send_is_refused(key):
    with pytest.raises(ConfigurationError, match="an API key is empty or has space around it"):
        ServeOptions(models=("echo",), api_keys=("plain", key))


@pytest.mark.parametrize("host", ["", " "])
def test_empty_host_does_not_quietly_mean_every_address(host):
    with pytest.raises(ConfigurationError, match=r"write 0\.0\.0\.0 if every address is meant"):
        ServeOptions(models=("echo",), host=host)


def test_no_key_and_a_plain_one_are_taken():
    assert ServeOptions(models=("echo",)).api_keys == ()
    assert ServeOptions(models=("echo",), api_keys=("secret",)).api_keys == ("secret",)


def test_flag_that_would_do_nothing_is_refused():
    with pytest.raises(ConfigurationError, match="--fallback needs --auto-route"):
        ServeOptions(models=("echo",), fallback=True)
    assert ServeOptions(models=("echo",), auto_route=True, fallback=True).fallback
