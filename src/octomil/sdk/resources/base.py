"""What every group of calls has: the way to the control plane, and whose things are meant."""

from octomil.errors import UnexpectedAnswerError
from octomil.http.api import ApiClient
from octomil.http.records import Record


class Resource:
    """A group of calls.

    Args:
        api: the way to the control plane.
        org_id: the organisation whose things are meant.
    """

    def __init__(self, api: ApiClient, org_id: str) -> None:
        self._api = api
        self.org_id = org_id


def field_of(answer: Record, name: str) -> str:
    """Return a text of an answer.

    Raises:
        UnexpectedAnswerError: it is not there.
    """
    value = answer.get(name)
    if not isinstance(value, str):
        raise UnexpectedAnswerError(f"the control plane's answer has no {name!r}: {answer!r}")
    return value
