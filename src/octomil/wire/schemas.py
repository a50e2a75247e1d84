"""How large the JSON schemas in a request are, before anybody builds a grammar from them.

A llama.cpp worker needs 0.3 s of one core for a grammar of 10,000 short values, 5 s for a million
characters of text in them, and for optional properties of one object a rule for each pair: 400 take
0.7 s, and 2,000 take 16.
"""

from collections.abc import Iterable, Mapping
from typing import Any

MAX_SCHEMA_SIZE = 10_000

_CHARS_PER_VALUE = 25
_PAIRS_PER_VALUE = 10


def are_too_large(schemas: Iterable[Any], most: int = MAX_SCHEMA_SIZE) -> bool:
    """Tell whether schemas are larger than `most` together.

    Each value in them counts 1, nested ones included; 25 characters of a text or of a name count 1
    more, and n optional properties of one object n²/10. Stops at `most`, so that it takes no longer
    for larger ones.

    >>> are_too_large([{"enum": ["a", "b"]}], most=4)
    False
    >>> are_too_large([{"enum": ["a", "b"]}, {}], most=4)
    True
    """
    waiting = list(schemas)
    size = len(waiting)
    while waiting and size <= most:
        value = waiting.pop()
        if isinstance(value, str):
            size += len(value) // _CHARS_PER_VALUE
        elif isinstance(value, list):
            size += len(value)
            waiting.extend(value)
        elif isinstance(value, dict):
            size += len(value) + sum(map(len, value)) // _CHARS_PER_VALUE
            size += _optional(value) ** 2 // _PAIRS_PER_VALUE
            waiting.extend(value.values())
    return size > most


def _optional(schema: Mapping[str, Any]) -> int:
    """Return how many properties an object may lack."""
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict):
        return 0
    needed = required if isinstance(required, list) else ()
    return len(properties.keys() - {name for name in needed if isinstance(name, str)})
