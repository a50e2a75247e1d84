"""Units of measure with exact factors, and which of them a piece of text names.

Every factor is a `Fraction` by definition (international yard and pound, SI of 2019), the only
irrational one being pi. A name that means different sizes to different people stays ambiguous here:
`find_units` returns each reading, and `convert` answers only where they agree (a gallon has four
quarts everywhere, but not everywhere 3.785 litres). `ton`, `calorie`, `nm`, `cup` without a country
and the days of a month are left out for that.
"""

from dataclasses import dataclass
from fractions import Fraction

from octomil.routing.numerals import fixed, magnitude, trimmed

_PI = Fraction(31415926535897932384626433832795028841971, 10**40)


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit: a quantity is `value * scale + offset` in the base unit of its dimension."""

    symbol: str
    dimension: str
    scale: Fraction
    offset: Fraction = Fraction(0)
    system: str = ""
    """Which reading of an ambiguous name: `US`, `imperial`, `byte`, `bit`; else empty."""


# symbol, factor, names (singular, or singular|plural), further symbols that are safe in any case,
# symbols that count only exactly as written.
_Row = tuple[str, int | str | Fraction, str, str, str]

_LENGTH: tuple[_Row, ...] = (
    ("m", 1, "meter,metre", "", "m"),
    ("km", 1000, "kilometer,kilometre", "km,kms", ""),
    ("dm", "0.1", "decimeter,decimetre", "", "dm"),
    ("cm", "0.01", "centimeter,centimetre", "cm,cms", ""),
    ("mm", "0.001", "millimeter,millimetre", "", "mm"),
    ("µm", "1e-6", "micrometer,micrometre,micron", "µm,um", ""),
    ("nanometers", "1e-9", "nanometer,nanometre", "", ""),
    ("in", "0.0254", "inch|inches", "in", ""),
    ("ft", "0.3048", "foot|feet", "ft", ""),
    ("yd", "0.9144", "yard", "yd,yds", ""),
    ("mi", "1609.344", "mile", "mi", ""),
)
_ROWS: dict[str, tuple[_Row, ...]] = {
    "length": (
        *_LENGTH,
        ("nmi", 1852, "nautical mile", "nmi", ""),
        ("ly", 9_460_730_472_580_800, "light year,light-year,lightyear", "", ""),
        ("au", 149_597_870_700, "astronomical unit", "", ""),
    ),
    "mass": (
        ("kg", 1000, "kilogram,kilogramme,kilo", "kg,kgs", ""),
        ("g", 1, "gram,gramme", "", "g"),
        ("mg", "0.001", "milligram", "", "mg"),
        ("µg", "1e-6", "microgram", "µg,mcg", ""),
        ("t", 1_000_000, "tonne,metric ton", "", ""),
        ("short tons", "907184.74", "short ton,us ton", "", ""),
        ("long tons", "1016046.9088", "long ton", "", ""),
        ("lb", "453.59237", "pound", "lb,lbs", ""),
        ("oz", "28.349523125", "ounce", "oz", ""),
        ("troy oz", "31.1034768", "troy ounce", "troy oz", ""),
        ("st", "6350.29318", "stone|stone,stone", "", ""),
    ),
    "volume": (
        ("L", "0.001", "liter,litre", "", "L,l"),
        ("dL", "1e-4", "deciliter,decilitre", "dl", ""),
        ("cL", "1e-5", "centiliter,centilitre", "cl", ""),
        ("mL", "1e-6", "milliliter,millilitre", "", "mL,ml"),
        ("cm³", "1e-6", "", "cc", ""),
    ),
    "area": (
        ("ha", 10_000, "hectare", "ha", ""),
        ("acres", "4046.8564224", "acre", "", ""),
        ("ft²", "0.09290304", "", "sqft", ""),
        ("m²", 1, "", "sqm", ""),
    ),
    "speed": (
        ("m/s", 1, "meter/second|meters/second,metre/second|metres/second", "m/s,mps", ""),
        (
            "km/h",
            Fraction(5, 18),
            "kilometer/hour|kilometers/hour,kilometre/hour|kilometres/hour",
            "km/h,kmh,kph,kmph,km/hr,km/hour",
            "",
        ),
        ("mph", "0.44704", "mile/hour|miles/hour", "mph,mi/h,mi/hr", ""),
        ("kn", Fraction(1852, 3600), "knot", "", "kn"),
        ("ft/s", "0.3048", "foot/second|feet/second", "ft/s,ft/sec", ""),
    ),
    "time": (
        ("ns", "1e-9", "nanosecond", "ns", ""),
        ("µs", "1e-6", "microsecond", "µs,us", ""),
        ("ms", "0.001", "millisecond", "", "ms"),
        ("s", 1, "second", "sec,secs", "s"),
        ("min", 60, "minute", "min,mins", ""),
        ("h", 3600, "hour", "hr,hrs", "h"),
        ("days", 86_400, "day", "", ""),
        ("weeks", 604_800, "week", "", ""),
        ("fortnights", 1_209_600, "fortnight", "", ""),
    ),
    # How many days a month or a year has depends on which; how many months a year has does not.
    "calendar": (
        ("months", 1, "month", "", ""),
        ("years", 12, "year", "", ""),
        ("decades", 120, "decade", "", ""),
        ("centuries", 1200, "century|centuries", "", ""),
        ("millennia", 12_000, "millennium|millennia", "", ""),
    ),
    "data": (
        ("bits", 1, "bit", "", ""),
        ("bytes", 8, "byte", "", "B"),
    ),
    "energy": (
        ("J", 1, "joule", "", "J"),
        ("kJ", 1000, "kilojoule", "kj", ""),
        ("MJ", 1_000_000, "megajoule", "", "MJ"),
        ("Wh", 3600, "watt hour,watt-hour", "wh", ""),
        ("kWh", 3_600_000, "kilowatt hour,kilowatt-hour", "kwh", ""),
        ("kcal", 4184, "kilocalorie", "kcal", ""),
        ("BTU", "1055.05585262", "", "btu,btus", ""),
        ("eV", "1.602176634e-19", "electronvolt,electron volt", "", "eV"),
    ),
    "pressure": (
        ("Pa", 1, "pascal", "", "Pa"),
        ("hPa", 100, "hectopascal", "hpa", ""),
        ("kPa", 1000, "kilopascal", "kpa", ""),
        ("MPa", 1_000_000, "megapascal", "", "MPa"),
        ("bar", 100_000, "bar", "", ""),
        ("mbar", 100, "millibar", "mbar", ""),
        ("atm", 101_325, "standard atmosphere", "atm", ""),
        ("psi", Fraction("4.4482216152605") / Fraction("0.00064516"), "", "psi", ""),
        ("mmHg", "133.322387415", "", "mmhg", ""),
        ("torr", Fraction(101_325, 760), "torr|torr", "", ""),
    ),
    "angle": (
        ("°", _PI / 180, "degree", "deg", "°"),
        ("rad", 1, "radian", "rad,rads", ""),
        ("gon", _PI / 200, "gradian,gon", "", ""),
        ("arcmin", _PI / 10_800, "arcminute", "arcmin", ""),
        ("arcsec", _PI / 648_000, "arcsecond", "arcsec", ""),
        ("turns", 2 * _PI, "turn,revolution", "", ""),
    ),
}

_TEMPERATURES = (
    ("°C", Fraction(1), Fraction("273.15"), "celsius,centigrade,c,°c"),
    ("°F", Fraction(5, 9), Fraction("459.67") * Fraction(5, 9), "fahrenheit,f,°f"),
    ("K", Fraction(1), Fraction(0), "kelvin,kelvins,k"),
)

_CUBIC_INCH = Fraction("0.0254") ** 3
_US_GALLON = 231 * _CUBIC_INCH
_IMPERIAL_GALLON = Fraction("0.00454609")
# symbol, parts of a gallon in the US and in the imperial system, names
_LIQUID = (
    ("gal", 1, 1, "gallon,gallons,gal"),
    ("qt", 4, 4, "quart,quarts,qt"),
    ("pt", 8, 8, "pint,pints,pt"),
    ("fl oz", 128, 160, "fluid ounce,fluid ounces,fl oz,floz,fl. oz,ounce,ounces,oz"),
)
# Cups and spoons also come in a metric size, so without a country they are never answered.
_KITCHEN = (
    ("cups", 16, "cup,cups"),
    ("tbsp", 256, "tablespoon,tablespoons,tbsp"),
    ("tsp", 768, "teaspoon,teaspoons,tsp"),
)
_US_WORDS = ("us", "u.s.", "american")
_IMPERIAL_WORDS = ("imperial", "uk", "british")

_DATA_PREFIXES = (
    ("k", "kilo", 1000),
    ("M", "mega", 1000**2),
    ("G", "giga", 1000**3),
    ("T", "tera", 1000**4),
    ("P", "peta", 1000**5),
)
_BINARY_PREFIXES = (
    ("Ki", "kibi", 1024),
    ("Mi", "mebi", 1024**2),
    ("Gi", "gibi", 1024**3),
    ("Ti", "tebi", 1024**4),
)

_folded: dict[str, tuple[Unit, ...]] = {}
_exact: dict[str, tuple[Unit, ...]] = {}


def _add(table: dict[str, tuple[Unit, ...]], unit: Unit, names: str) -> None:
    for name in filter(None, names.split(",")):
        if unit not in table.get(name, ()):
            table[name] = (*table.get(name, ()), unit)


def _plurals(names: str) -> str:
    forms = []
    for name in filter(None, names.split(",")):
        singular, _, plural = name.partition("|")
        forms += [singular, plural or f"{singular}s"]
    return ",".join(forms)


def _add_rows() -> None:
    for dimension, rows in _ROWS.items():
        for symbol, factor, names, symbols, exact in rows:
            unit = Unit(symbol, dimension, Fraction(factor))
            _add(_folded, unit, _plurals(names))
            _add(_folded, unit, symbols)
            _add(_exact, unit, exact)


def _add_powers_of_length() -> None:
    for symbol, factor, names, symbols, exact in _LENGTH:
        for power, dimension, mark, words in (
            (2, "area", "²", ("square ", "sq ", "sq. ")),
            (3, "volume", "³", ("cubic ", "cu ", "cu. ")),
        ):
            unit = Unit(f"{symbol}{mark}", dimension, Fraction(factor) ** power)
            for name in _plurals(names).split(","):
                _add(_folded, unit, ",".join(word + name for word in words))
            for table, short in ((_folded, symbols), (_exact, exact)):
                for name in filter(None, short.split(",")):
                    _add(table, unit, f"{name}{mark},{name}{power},{name}^{power}")
                    _add(table, unit, ",".join(word + name for word in words))


def _add_liquid(unit: Unit, names: str, countries: tuple[str, ...], *, alone: bool) -> None:
    for name in names.split(","):
        if alone:
            _add(_folded, unit, name)
        if name in {"ounce", "ounces", "oz"}:
            continue  # `us ounce` does not say fluid
        plain = Unit(f"{unit.system} {unit.symbol}", unit.dimension, unit.scale)
        for country in countries:
            _add(_folded, plain, f"{country} {name},{name} ({country})")


def _add_liquids() -> None:
    for symbol, us_parts, imperial_parts, names in _LIQUID:
        us = Unit(symbol, "volume", _US_GALLON / us_parts, system="US")
        imperial = Unit(symbol, "volume", _IMPERIAL_GALLON / imperial_parts, system="imperial")
        _add_liquid(us, names, _US_WORDS, alone=True)
        _add_liquid(imperial, names, _IMPERIAL_WORDS, alone=True)
    for symbol, parts, names in _KITCHEN:
        unit = Unit(symbol, "volume", _US_GALLON / parts, system="US")
        _add_liquid(unit, names, _US_WORDS, alone=False)


def _add_data() -> None:
    for prefix, word, factor in _DATA_PREFIXES:
        big = prefix.upper()
        bytes_ = Unit(f"{'k' if prefix == 'k' else big}B", "data", Fraction(8 * factor))
        bits = Unit(f"{prefix}bit", "data", Fraction(factor))
        _add(_folded, bytes_, f"{word}byte,{word}bytes")
        _add(_folded, bits, f"{word}bit,{word}bits,{prefix.lower()}bit,{prefix.lower()}bits")
        _add(_exact, bytes_, f"{prefix}B,{big}B")
        _add(_exact, bits, f"{big}b")
        # All in lower case it may be either: `gb to mb` is the same in both, `mb to bits` is not.
        for unit, system in ((bytes_, "byte"), (bits, "bit")):
            loose = Unit(unit.symbol, "data", unit.scale, system=system)
            _add(_exact, loose, f"{prefix.lower()}b")
    for prefix, word, factor in _BINARY_PREFIXES:
        unit = Unit(f"{prefix}B", "data", Fraction(8 * factor))
        _add(_folded, unit, f"{word}byte,{word}bytes")
        _add(_exact, unit, f"{prefix}B,{prefix.lower()}b")


def _add_temperatures() -> None:
    for symbol, scale, offset, names in _TEMPERATURES:
        unit = Unit(symbol, "temperature", scale, offset)
        _add(_folded, unit, names)
        for name in names.split(","):
            _add(_folded, unit, ",".join(f"{word} {name}" for word in ("degrees", "degree", "deg")))


_add_rows()
_add_powers_of_length()
_add_liquids()
_add_data()
_add_temperatures()

UNIT_NAMES = frozenset({*_folded, *_exact})
"""Every spelling that can name a unit, as `find_units` looks it up."""


def find_units(text: str) -> tuple[Unit, ...]:
    """Return every reading of a unit's name or symbol; empty when it names none.

    Case counts only for symbols where it carries meaning (`MB`, `Mb`; `mg`).

    >>> [unit.dimension for unit in find_units("square feet")]
    ['area']
    """
    text = text.replace("\N{GREEK SMALL LETTER MU}", "µ").replace(" per ", "/").rstrip(".")
    return _exact.get(text) or _folded.get(text.lower(), ())


def convert(
    parts: list[tuple[Fraction, tuple[Unit, ...]]], targets: tuple[Unit, ...]
) -> tuple[Fraction, Unit] | None:
    """Convert a quantity, possibly in several parts (`5 ft 10 in`), where every reading agrees.

    Args:
        parts: Values, each with the readings of its unit.
        targets: The readings of the unit asked for.

    Returns:
        The value and the unit it is in; None when dimensions differ, readings disagree, or the
        temperature is below absolute zero.
    """
    everything = [*(unit for _, units in parts for unit in units), *targets]
    systems = {unit.system for unit in everything if unit.system} or {""}
    results: dict[Fraction, Unit] = {}
    for system in sorted(systems):
        for target in _reading(targets, system):
            value = _convert_one([(v, _reading(units, system)) for v, units in parts], target)
            if value is not None:
                results[value] = target
    return next(iter(results.items())) if len(results) == 1 else None


def _reading(units: tuple[Unit, ...], system: str) -> tuple[Unit, ...]:
    return tuple(unit for unit in units if unit.system in {"", system}) or units


def _convert_one(parts: list[tuple[Fraction, tuple[Unit, ...]]], target: Unit) -> Fraction | None:
    total, above = Fraction(0), None
    for value, units in parts:
        unit = next((unit for unit in units if unit.dimension == target.dimension), None)
        # Parts descend, each below one of the part before it, as people write them.
        if unit is None or (above is not None and value * unit.scale >= above):
            return None
        total += value * unit.scale + unit.offset
        above = unit.scale
    if target.dimension == "temperature" and (total < 0 or len(parts) > 1):
        return None
    return (total - target.offset) / target.scale


def write_quantity(value: Fraction, unit: Unit) -> str:
    """Print with two decimals, or more where two would leave fewer than four significant digits."""
    places = max(2, 3 - magnitude(value))
    space = "" if unit.symbol[0] == "°" else " "
    return f"{trimmed(fixed(value, places), keep=2)}{space}{unit.symbol}"
