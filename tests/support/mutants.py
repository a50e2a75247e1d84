"""Documented callables and the tests that verify them; `python -m support.mutants` lists them."""

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

from bench.gutting import function_in

from support.surface import Row, read_table, resolve


def documented_callables() -> list[tuple[str, str]]:
    """Return `(MODULE:QUALNAME, node id of a test)` of each verified row that has code of its own.

    A class stands for its constructor, a key for the callable that returns it. A field has no code.
    """
    found = {
        (f"{function.__module__}:{function.__qualname__}", row.state)
        for section in read_table()
        for row in section.rows
        if row.is_verified and row.kind in ("python", "keys")
        for function in _functions(row)
    }
    return sorted(found)


def _functions(row: Row) -> Iterator[Any]:
    text = row.text.partition(": ")[0] if row.kind == "keys" else row.text
    path = re.match(r"(?:(?:async|classmethod|staticmethod) )?([\w.]+)", text)[1]
    value, _ = resolve(row.homes[0], path.split("."))
    if inspect.isclass(value):
        value = inspect.getattr_static(value, "__init__")
    function = function_in(value)
    if function is not None:
        yield function


if __name__ == "__main__":
    print(json.dumps(documented_callables()))
