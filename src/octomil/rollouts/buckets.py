"""Who is in a rollout: each device has a place from 0 to 1, and a share takes those below it.

The place is the first eight bytes, big-endian, of SHA-256 over the rollout's salt and the device's
id, each UTF-8 behind its length in four bytes, big-endian. It is compared as an integer: no float
and no modulo, which would favour some devices. A larger share has every device of a smaller one;
another salt shuffles the fleet anew, so that it is not always the same devices that go first.

The function never changes: another one would move devices in and out of rollouts that are under
way. `docs/rollouts.md` has vectors for it.
"""

from hashlib import sha256
from typing import Final

PLACES: Final = 2**64
"""Places are whole numbers from 0 to one below this."""

UNITS_PER_PERCENT: Final = 1_000
"""Percentages are whole numbers of thousandths; finer ones are refused."""

_LENGTH_BYTES: Final = 4
_PLACE_BYTES: Final = 8
_ROUNDING: Final = 1e-6  # thousandths: far above a float's error, far below what anybody writes


def place_of(salt: str, device_id: str) -> int:
    """Return a device's place in a rollout, from 0 to 2^64 - 1.

    Example:
        >>> place_of("rol_1", "dev_1") / PLACES < 1
        True
    """
    return place_behind(salt_prefix(salt), device_id.encode())


def salt_prefix(salt: str) -> bytes:
    """Return what is hashed before each device's id."""
    return _prefixed(salt.encode())


def place_behind(prefix: bytes, raw_id: bytes) -> int:
    """Return the place of an id in UTF-8 behind a `salt_prefix`; for many ids and one salt."""
    return int.from_bytes(sha256(prefix + _prefixed(raw_id)).digest()[:_PLACE_BYTES], "big")


def is_included(salt: str, device_id: str, percentage: float) -> bool:
    """Tell whether a share of the fleet, 0 to 100, has a device.

    Raises:
        ValueError: the percentage is none, or finer than a thousandth.

    Example:
        >>> is_included("rol_1", "dev_1", 0), is_included("rol_1", "dev_1", 100)
        (False, True)
    """
    return place_of(salt, device_id) < threshold(percentage)


def threshold(percentage: float) -> int:
    """Return the place below which devices are in a share of the fleet.

    Raises:
        ValueError: it is not from 0 to 100, or finer than a thousandth.

    Example:
        >>> threshold(50) == 2**63, threshold(100) == 2**64
        (True, True)
    """
    return thousandths(percentage) * PLACES // (100 * UNITS_PER_PERCENT)


def thousandths(percentage: float) -> int:
    """Return a percentage as a whole number of thousandths.

    Raises:
        ValueError: it is not from 0 to 100, or finer than a thousandth.

    Example:
        >>> thousandths(0.1)
        100
    """
    if not 0 <= percentage <= 100:
        raise ValueError(f"a percentage lies from 0 to 100, got {percentage}")
    units = round(percentage * UNITS_PER_PERCENT)
    if abs(units - percentage * UNITS_PER_PERCENT) > _ROUNDING:
        raise ValueError(f"a percentage has three decimals at most, got {percentage}")
    return units


def _prefixed(raw: bytes) -> bytes:
    return len(raw).to_bytes(_LENGTH_BYTES, "big") + raw
