"""A pytest plugin: `--gut MODULE:QUALNAME` replaces a function's body by `return None`.

It does so in place, once the tests are collected: whoever has imported the function has the gutted
one, and nothing that runs at import is touched.
"""

import inspect
from importlib import import_module
from types import CodeType, FunctionType
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--gut", metavar="MODULE:QUALNAME", help="this function returns None")


def pytest_collection_finish(session: pytest.Session) -> None:
    target = session.config.getoption("--gut")
    if target:
        gut(function_at(target))


def function_at(target: str) -> FunctionType:
    """Return the function that a target names, out of what wraps it.

    Raises:
        AttributeError: there is no such name.
        TypeError: it names something else.
    """
    module, _, path = target.partition(":")
    value: Any = import_module(module)
    for name in path.split("."):
        value = inspect.getattr_static(value, name)
    found = function_in(value)
    if found is None:
        raise TypeError(f"{target} is no function, but {value!r}")
    return found


def function_in(value: object) -> FunctionType | None:
    """Return the function behind a method, a property or a decorated function; None if none is."""
    for attribute in ("__func__", "fget", "func"):
        value = getattr(value, attribute, None) or value
    unwrapped = inspect.unwrap(value) if callable(value) else value
    return unwrapped if isinstance(unwrapped, FunctionType) else None


def gut(function: FunctionType) -> None:
    """Replace a function's body; whoever awaits it still can."""
    is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    stub: CodeType = (_async_stub if is_async else _stub).__code__
    freevars = function.__code__.co_freevars  # as many as the function has cells
    function.__code__ = stub.replace(co_freevars=freevars, co_name=function.__code__.co_name)


def _stub(*_args: Any, **_kwargs: Any) -> None:
    return None


async def _async_stub(*_args: Any, **_kwargs: Any) -> None:
    return None
