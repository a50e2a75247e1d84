import pytest

from octomil.asgi.request_ids import sent_id


@pytest.mark.parametrize("sent", [b"mine", b"a" * 128, b"0:/~"])
def test_an_id_that_can_stand_in_a_log_is_kept(sent: bytes):
    assert sent_id({"headers": [(b"x-request-id", sent)]}) == sent.decode()


@pytest.mark.parametrize("sent", [b"", b"a b", b"a\nb", b"a" * 129, b"\xe9"])
def test_any_other_is_none(sent: bytes):
    assert sent_id({"headers": [(b"x-request-id", sent)]}) == ""
    assert sent_id({"headers": []}) == ""
