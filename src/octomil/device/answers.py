"""Answers of the control plane, read as what they have to be before anything is done with them."""

from typing import Any, TypeVar

import msgspec

from octomil.errors import UnexpectedAnswerError

_Answer = TypeVar("_Answer")


def read_answer(answer: Any, kind: type[_Answer], what: str) -> _Answer:
    """Return an answer as one of `octomil.wire`.

    Args:
        answer: JSON values.
        kind: the dataclass that it has to fit, with texts that can be sent on; what else it has is
            left aside.
        what: what it ought to be, in messages.

    Raises:
        UnexpectedAnswerError: it does not fit.

    Example:
        >>> from octomil.wire.versions import SignatureView
        >>> read_answer({"keyid": "ab", "sig": "", "new": 1}, SignatureView, "a signature").keyid
        'ab'
    """
    try:
        read = msgspec.convert(answer, kind)
        msgspec.json.encode(read)  # refuses lone surrogates, which no request could name
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise UnexpectedAnswerError(f"this is not {what}: {error}") from error
    return read
