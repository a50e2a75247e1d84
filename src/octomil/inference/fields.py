"""Fields of answers, taken out with their kinds checked: what a server sends is not trusted."""

from collections.abc import Mapping
from typing import Any


def text_of(answer: Mapping[str, Any], name: str) -> str:
    """Return a text.

    Raises:
        ValueError: there is none.
    """
    value = answer.get(name)
    if not isinstance(value, str):
        raise misfit(repr(name), "no text", value)
    return value


def text_or_none(answer: Mapping[str, Any], name: str) -> str | None:
    """Return a text, or None where it is left out. Raises as :func:`text_of` does."""
    return None if answer.get(name) is None else text_of(answer, name)


def number_or_none(answer: Mapping[str, Any], name: str) -> float | None:
    """Return a number, or None where it is left out.

    Raises:
        ValueError: it is something else.
    """
    value = answer.get(name)
    return None if value is None else number_of(value, repr(name))


def number_of(value: object, what: str) -> float:
    """Return a number.

    Raises:
        ValueError: it is none, or larger than a number can be.
    """
    if type(value) not in (int, float):
        raise misfit(what, "no number", value)
    try:
        return float(value)  # type: ignore[arg-type]  # the exact types were looked at
    except OverflowError:
        raise misfit(what, "too large a number", value) from None


def flag_of(answer: Mapping[str, Any], name: str) -> bool:
    """Return a truth value.

    Raises:
        ValueError: there is none.
    """
    value = answer.get(name)
    if not isinstance(value, bool):
        raise misfit(repr(name), "neither true nor false", value)
    return value


def count_of(answer: Mapping[str, Any], name: str) -> int:
    """Return a count.

    Raises:
        ValueError: there is none.
    """
    value = answer.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise misfit(repr(name), "no count", value)
    return value


def object_of(value: Any, what: str) -> Mapping[str, Any]:
    """Return a JSON object.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, dict):
        raise misfit(what, "no object", value)
    return value


def misfit(what: str, fault: str, value: object) -> ValueError:
    """Return the error for a value of the wrong kind."""
    return ValueError(f"{what} is {fault}: {value!r:.80}")
