"""Checking the `annotated_types` constraints of a dataclass.

Web frameworks enforce these annotations themselves; the serving node's decoder does not, so it
asks here.
"""

from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import fields
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Interval, Le, Lt, MaxLen, MinLen

_Check = tuple[Callable[[Any], bool], str]

_SHOWN_CHARS = 60

_CHECKS: dict[type[Any], dict[str, tuple[_Check, ...]]] = {}


def violation(value: Any, given: Iterable[str]) -> tuple[str, str] | None:
    """Return the first field that breaks its constraint and what it must be, or None.

    Fields that are None are not checked.

    Args:
        value: an instance of a dataclass.
        given: the names of those of its fields that do not have their defaults; others may be
            among them.
    """
    kind = type(value)
    checks = _CHECKS.get(kind)
    if checks is None:
        checks = _CHECKS[kind] = {field.name: _checks(kind, field.name) for field in fields(kind)}
    for name in given:
        for holds, rule in checks.get(name, ()):
            field = getattr(value, name)
            if field is not None and not holds(field):
                return name, f"{name} must be {rule}, got {_shown(field)}"
    return None


def _checks(kind: type[Any], name: str) -> tuple[_Check, ...]:
    hint = get_type_hints(kind, include_extras=True)[name]
    return tuple(
        (_only_for(part.__origin__, holds), rule)
        for part in (hint, *get_args(hint))
        if get_origin(part) is Annotated
        for constraint in part.__metadata__
        for holds, rule in _rules(constraint)
    )


def _shown(value: Any) -> str:
    """Return a value as a message shows it: whole if short, else by its size or its beginning."""
    text = repr(value)
    if len(text) <= _SHOWN_CHARS:
        return text
    return f"{len(value)} items" if isinstance(value, Sized) else f"{text[:_SHOWN_CHARS]}…"


def _only_for(form: Any, holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Limit a check to values of its own member of a union: a list's length is no string's."""
    kind = get_origin(form) or form
    return lambda value: not isinstance(value, kind) or holds(value)


def _rules(constraint: object) -> Iterator[tuple[Callable[[Any], bool], str]]:
    match constraint:
        case Interval():
            for part in constraint:
                yield from _rules(part)
        case Ge(ge=least):
            yield (lambda v: v >= least), f"{least} or more"
        case Gt(gt=below):
            yield (lambda v: v > below), f"above {below}"
        case Le(le=most):
            yield (lambda v: v <= most), f"{most} or less"
        case Lt(lt=above):
            yield (lambda v: v < above), f"below {above}"
        case MinLen(min_length=least):
            yield (lambda v: len(v) >= least), f"at least {least} long"
        case MaxLen(max_length=most):
            yield (lambda v: len(v) <= most), f"at most {most} long"
        case _:
            return
