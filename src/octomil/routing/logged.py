"""Requests of the past, read from the logs of gateways, nodes and batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from octomil.routing.complexity import text_of
from octomil.routing.requests import (
    TOKEN_LIMITS,
    answers_within,
    may_split,
    needs_of,
    takes_plain_text,
)

_CHARS_PER_TOKEN = 4
_ENVELOPES = ("body", "request", "response")

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request of a log.

    Attributes:
        messages: as they were sent.
        prompt_tokens: as the log counts them; else estimated, four characters each.
        completion_tokens: as the log counts them; None where it does not.
        scores: how well models answered it, from 0 to 1, by name.
        plain_text: whether one text, such as tier 0's, was an acceptable answer.
        may_split: whether its tasks could have been answered one by one.
        max_answers: by how many models at most, for the tokens it allowed; None for any number.
    """

    messages: Sequence[Message]
    prompt_tokens: int
    completion_tokens: int | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    plain_text: bool = True
    may_split: bool = True
    max_answers: int | None = None

    @classmethod
    def from_record(cls, record: Any) -> "LoggedRequest":
        """Read a request as gateways log it.

        The messages are `messages` or `prompt`, at the top or in `body` or `request`, and beside
        them whatever else the client asked for, such as `tools` or `stop`; the tokens are `usage`,
        at the top or in `response`; the scores are `scores` by model, or `weak` and `strong` as
        calibration has them.

        Raises:
            ValueError: there are no messages, or a field makes no sense.
        """
        if not isinstance(record, Mapping):
            raise ValueError('expected an object such as {"messages": [...]}')  # noqa: TRY004 - the value is at fault, in a file
        asked = _holder(record, "messages", "prompt")
        body = {**asked, "messages": _messages(_find(asked, "messages", "prompt"))}
        _check_wishes(body)
        messages = body["messages"]
        usage = _find(record, "usage") or {}
        if not isinstance(usage, Mapping):
            raise ValueError('"usage" must be an object')  # noqa: TRY004 - as above
        chars = sum(len(text_of(message.get("content"))) for message in messages)
        prompt_tokens = _count(usage, "prompt_tokens")
        if prompt_tokens is None:
            prompt_tokens = -(-chars // _CHARS_PER_TOKEN)
        return cls(
            messages,
            prompt_tokens,
            _count(usage, "completion_tokens"),
            _scores(record),
            plain_text=takes_plain_text(needs_of("chat/completions", body), body),
            may_split=may_split(body),
            max_answers=answers_within(body),
        )


def _holder(record: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """Return what has one of the fields: the record, or an envelope inside an envelope, or {}."""
    if any(record.get(name) is not None for name in names):
        return record
    inner = (record[name] for name in _ENVELOPES if isinstance(record.get(name), Mapping))
    return next((found for each in inner if (found := _holder(each, *names))), {})


def _find(record: Mapping[str, Any], *names: str) -> Any:
    """Return the first of the fields, at the top or in an envelope inside an envelope."""
    holder = _holder(record, *names)
    return next((holder[name] for name in names if holder.get(name) is not None), None)


def _messages(found: Any) -> list[Message]:
    if isinstance(found, str) and found.strip():
        return [{"role": "user", "content": found}]
    if not isinstance(found, list) or not found:
        raise ValueError('no "messages" and no "prompt", at the top, in "body" or in "request"')
    if not all(isinstance(message, Mapping) for message in found):
        raise ValueError('"messages" must be a list of objects')
    return found


def _check_wishes(body: Mapping[str, Any]) -> None:
    """Check the fields that decide where a request may go, as the serving node would.

    Raises:
        ValueError: one of them makes no sense.
    """
    for name in ("n", *TOKEN_LIMITS):
        _count(body, name)
    if not isinstance(body.get("response_format") or {}, Mapping):
        raise ValueError('"response_format" must be an object')  # noqa: TRY004 - the value is at fault, in a file
    for message in body["messages"]:
        content = message.get("content")
        parts = content if isinstance(content, list) else []
        if not all(isinstance(part, Mapping) and "type" in part for part in parts):
            raise ValueError('the parts of a "content" must be objects with a "type"')


def _count(fields: Mapping[str, Any], name: str) -> int | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f'"{name}" must be a count, got {value!r}')
    return value


def _scores(record: Mapping[str, Any]) -> dict[str, float]:
    given = record.get("scores")
    if given is None:
        given = {name: record[name] for name in ("weak", "strong") if name in record}
    if not isinstance(given, Mapping):
        raise ValueError('"scores" must be an object: a score by model')  # noqa: TRY004 - the value is at fault, in a file
    for name, score in given.items():
        if not isinstance(score, int | float) or isinstance(score, bool) or not 0 <= score <= 1:
            raise ValueError(f"the score of {name!r} must be between 0 and 1, got {score!r}")
    return {str(name): float(score) for name, score in given.items()}
