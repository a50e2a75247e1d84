from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from annotated_types import Ge, Gt, Interval, Le, Lt, MaxLen, MinLen

from octomil.wire.constraints import violation


@dataclass(frozen=True)
class Order:
    """Something with every kind of constraint."""

    count: Annotated[int, Interval(ge=1, le=5)] = 1
    weight: Annotated[float, Gt(0), Lt(10)] | None = None
    name: Annotated[str, MinLen(1), MaxLen(3)] | None = None
    tags: Annotated[list[str], MaxLen(2)] | str | None = None
    low: Annotated[int, Ge(-1)] | None = None
    high: Annotated[int, Le(1)] | None = None
    free: Annotated[str, "a note, no constraint"] | None = None


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"count": 1},
        {"count": 5},
        {"weight": 9.99},
        {"name": "abc"},
        {"tags": ["a", "b"]},
        {"tags": "a text is no list, however long"},
        {"low": -1, "high": 1},
        {"free": ""},
        {"weight": None, "name": None, "tags": None, "low": None},
    ],
)
def test_what_keeps_to_its_bounds_passes(fields):
    assert violation(Order(**fields), fields) is None


@pytest.mark.parametrize(
    ("fields", "field", "complaint"),
    [
        ({"count": 0}, "count", "count must be 1 or more, got 0"),
        ({"count": 6}, "count", "count must be 5 or less, got 6"),
        ({"weight": 0.0}, "weight", "weight must be above 0, got 0.0"),
        ({"weight": 10.0}, "weight", "weight must be below 10, got 10.0"),
        ({"name": ""}, "name", "name must be at least 1 long, got ''"),
        ({"name": "abcd"}, "name", "name must be at most 3 long, got 'abcd'"),
        ({"tags": ["a", "b", "c"]}, "tags", "tags must be at most 2 long, got ['a', 'b', 'c']"),
        ({"low": -2}, "low", "low must be -1 or more, got -2"),
        ({"high": 2}, "high", "high must be 1 or less, got 2"),
    ],
)
def test_first_field_out_of_bounds_is_named_with_its_rule_and_value(fields, field, complaint):
    assert violation(Order(**fields), fields) == (field, complaint)


@pytest.mark.parametrize(
    ("fields", "ending"),
    [
        ({"tags": ["x" * 10] * 50}, "got 50 items"),
        ({"name": "x" * 1000}, "got 1000 items"),
        ({"count": 10**80}, "got 1" + "0" * 59 + "…"),
    ],
)
def test_long_value_is_not_shown_whole(fields, ending):
    _, complaint = violation(Order(**fields), fields)

    assert complaint.endswith(ending)


def test_order_in_which_fields_were_given_decides_which_is_named():
    name, _ = violation(Order(count=0, name=""), ["unknown", "name", "count"])

    assert name == "name"


def test_only_fields_that_were_given_are_looked_at():
    assert violation(Order(count=0, name=""), ["weight"]) is None


def test_class_without_constraints_has_nothing_to_break():
    @dataclass
    class Free:
        anything: Any

    assert violation(Free(None), ["anything"]) is None
