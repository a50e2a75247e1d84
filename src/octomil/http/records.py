"""JSON objects of answers, readable in both of the ways that the documents show."""

import json
from typing import Any


class Record(dict[str, Any]):
    """A JSON object whose fields are items and attributes: `model["id"]` and `model.id`.

    Objects inside are records, too. A field that bears the name of a method of `dict`, such as
    `items`, can be had as an item alone.

    Example:
        >>> model = parse_json(b'{"id": "mdl_1", "owner": {"name": "Ann"}}')
        >>> model.id, model["id"], model.owner.name
        ('mdl_1', 'mdl_1', 'Ann')
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        """Return a field.

        Raises:
            AttributeError: there is none of that name; the message lists those that are there.
        """
        try:
            return self[name]
        except KeyError:
            known = ", ".join(self) or "none"
            raise AttributeError(f"the answer has no field {name!r}; it has {known}") from None


def parse_json(text: bytes) -> Any:
    """Read JSON; its objects become records.

    Raises:
        ValueError: it is none, or nested too deeply to be followed.
    """
    try:
        return json.loads(text, object_hook=Record)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
