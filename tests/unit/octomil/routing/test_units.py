import json
from fractions import Fraction
from pathlib import Path

import pytest

from octomil.routing.units import UNIT_NAMES, Unit, convert, find_units, write_quantity

# Written by pint in a venv of its own; see its "source".
ORACLE = json.loads((Path(__file__).parents[3] / "data" / "unit_oracle.json").read_text())
DIMENSIONS = sorted(ORACLE["dimensions"])


def one(value: float | str, source: str, target: str) -> tuple[Fraction, Unit] | None:
    return convert([(Fraction(value), find_units(source))], find_units(target))


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_every_pair_of_units_agrees_with_pint(dimension: str) -> None:
    units = ORACLE["dimensions"][dimension]["units"]

    for source, factors in zip(units, ORACLE["dimensions"][dimension]["factors"], strict=True):
        for target, factor in zip(units, factors, strict=True):
            converted = one(1, source, target)
            assert converted is not None, (source, target)
            assert float(converted[0]) == pytest.approx(factor, rel=1e-11), (source, target)


def test_temperatures_agree_with_pint() -> None:
    for value, source, target, expected in ORACLE["temperatures"]:
        converted = one(str(value), source, target)
        assert converted is not None
        assert float(converted[0]) == pytest.approx(expected, abs=1e-8), (value, source, target)


def test_pint_has_vouched_for_every_unit() -> None:
    vouched = {
        (unit.dimension, unit.scale)
        for dimension in ORACLE["dimensions"].values()
        for name in dimension["units"]
        for unit in find_units(name)
    }

    ours = {unit for name in UNIT_NAMES for unit in find_units(name)}

    assert {
        unit.symbol
        for unit in ours
        if unit.dimension != "temperature" and (unit.dimension, unit.scale) not in vouched
    } == set()


@pytest.mark.parametrize("first", DIMENSIONS)
def test_units_of_different_dimensions_never_convert(first: str) -> None:
    for second in DIMENSIONS:
        if second != first:
            for source in ORACLE["dimensions"][first]["units"]:
                for target in ORACLE["dimensions"][second]["units"]:
                    if {"oz"} & {source, target}:
                        continue  # also a volume
                    assert one(1, source, target) is None, (source, target)


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("KM", "km"),
        ("Kilometres", "km"),
        ("MB", "MB"),
        ("Mb", "Mbit"),
        ("kB", "kB"),
        ("KiB", "KiB"),
        ("mg", "mg"),
        ("MPa", "MPa"),
        ("feet per second", "ft/s"),
        ("sq. ft", "ft²"),
        ("m^3", "m³"),
        ("\N{GREEK SMALL LETTER MU}m", "µm"),
        ("US gallons", "US gal"),
        ("gallons (UK)", "imperial gal"),
        ("degrees Celsius", "°C"),
        ("lbs.", "lb"),
    ],
)
def test_spelling_names_one_unit(text: str, symbol: str) -> None:
    assert [unit.symbol for unit in find_units(text)] == [symbol]


@pytest.mark.parametrize(
    "text", ["ton", "tons", "nm", "cup", "tbsp", "calories", "Mg", "ML", "M", "hp", "b", "", "  "]
)
def test_ambiguous_or_unknown_name_names_nothing(text: str) -> None:
    assert find_units(text) == ()


@pytest.mark.parametrize(
    ("source", "target", "value"),
    [("gallons", "quarts", 4), ("gb", "mb", 1000), ("oz", "lb", Fraction(1, 16))],
)
def test_ambiguous_names_convert_where_every_reading_agrees(
    source: str, target: str, value: Fraction
) -> None:
    converted = one(1, source, target)

    assert converted is not None
    assert converted[0] == value


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("gallons", "liters"),
        ("us gallons", "pints"),
        ("fl oz", "pints"),
        ("mb", "bits"),
        ("gb", "MB"),
        ("oz", "ml"),
    ],
)
def test_ambiguous_names_do_not_convert_where_readings_differ(source: str, target: str) -> None:
    assert one(1, source, target) is None


def test_nothing_is_colder_than_absolute_zero() -> None:
    zero = one(0, "kelvin", "fahrenheit")

    assert zero is not None
    assert write_quantity(*zero) == "-459.67°F"
    assert one("-273.16", "celsius", "fahrenheit") is None


def test_parts_add_up_only_from_large_to_small() -> None:
    feet, inches, meters = find_units("ft"), find_units("in"), find_units("m")

    assert convert([(Fraction(5), feet), (Fraction(10), inches)], meters) is not None
    assert convert([(Fraction(5), feet), (Fraction(12), inches)], meters) is None
    assert convert([(Fraction(5), inches), (Fraction(1), feet)], meters) is None
    celsius = find_units("c")
    assert convert([(Fraction(5), celsius), (Fraction(0), find_units("f"))], celsius) is None


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        ("0", "m", "0.00 m"),
        ("1", "m", "1.00 m"),
        ("1.609344", "km", "1.609 km"),
        ("62.137119", "mi", "62.14 mi"),
        ("0.0000254", "km", "0.0000254 km"),
        ("0.000012345678", "km", "0.00001235 km"),
        ("-0.0001", "°C", "-0.0001°C"),
        ("100.125", "m", "100.13 m"),
    ],
)
def test_quantity_keeps_two_decimals_or_four_significant_digits(
    value: str, unit: str, text: str
) -> None:
    assert write_quantity(Fraction(value), find_units(unit)[0]) == text
