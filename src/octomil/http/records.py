"""JSON objects of answers, readable in both of the ways that the documents show."""

import json
from collections.abc import Iterable
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


class Page(list[Record]):
    """Some of a list that comes page by page.

    Args:
        found: the records.
        next_cursor: leads to the next page; None on the last.

    Example:
        >>> page = Page([Record(id="dev_1")], None)
        >>> page[0].id, page.next_cursor
        ('dev_1', None)
    """

    __slots__ = ("next_cursor",)

    def __init__(self, found: Iterable[Record], next_cursor: str | None) -> None:
        super().__init__(found)
        self.next_cursor = next_cursor


def parse_json(text: bytes) -> Any:
    """Read JSON; its objects become records.

    Raises:
        ValueError: it is none, or nested too deeply to be followed.
    """
    try:
        return json.loads(text, object_hook=Record)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
