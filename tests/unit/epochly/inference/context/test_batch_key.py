from dataclasses import FrozenInstanceError

import pytest

from epochly.inference.context import BatchKey


def key(**changes) -> BatchKey:
    fields = {"model_id": 7, "endpoint": "/e", "input_shape_bucket": (1, 128), "dtype": "int64"}
    return BatchKey(**(fields | changes))


def test_what_is_not_generated_needs_no_sampling():
    assert key() == BatchKey(7, "/e", (1, 128), "int64", None, None, None, None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model_id", 8),
        ("endpoint", "/f"),
        ("input_shape_bucket", (1, 256)),
        ("dtype", "int32"),
        ("max_new_tokens", 1),
        ("temperature", 0.5),
        ("top_p", 0.5),
        ("pad_token_id", 0),
    ],
)
def test_each_field_keeps_calls_apart(field, value):
    changed = key(**{field: value})

    assert changed != key()
    assert len({changed, key(), key()}) == 2


def test_a_shape_of_any_sequence_is_the_same_key():
    assert key(input_shape_bucket=[1, 128]) == key()
    assert hash(key(input_shape_bucket=iter((1, 128)))) == hash(key())


def test_a_key_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        key().dtype = "int32"
