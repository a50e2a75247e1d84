"""What callers send and get, as backends have it: pure."""

from collections.abc import Sequence
from typing import Final

from octomil.control.ports import Ending, GenerationQuery
from octomil.errors import (
    API_STATUSES,
    ApiError,
    BadRequestError,
    EngineUnavailableError,
    InvalidRequestError,
    NotFoundError,
    OctomilError,
    ServiceUnavailableError,
    UnknownModelError,
    UnprocessableError,
)
from octomil.wire.inference import InferenceInput, InferenceParameters, Message, TokenUsage

_DEFAULTS: Final = InferenceParameters()


def since_ms(began_s: float, now_s: float) -> float:
    """Return the milliseconds between two readings of a clock, to the microsecond."""
    return round(1000 * (now_s - began_s), 3)


def query_of(
    model: str, given: InferenceInput, defaults: InferenceParameters | None = None, at: str = ""
) -> GenerationQuery:
    """Return what a backend is asked.

    Args:
        model: as the caller calls it.
        given: the conversation, in one of its two forms.
        defaults: parameters for an input that has none of its own.
        at: what comes before its fields in messages to the caller, such as `inputs.3.`.

    Raises:
        UnprocessableError: there is no conversation, or more than one.
    """
    if (given.messages is None) == (given.input_data is None):
        problem = "give either `messages` or `input_data`"
        field = f"{at}messages"
        raise UnprocessableError(
            f"{field}: {problem}", {"fields": [{"field": field, "problem": problem}]}
        )
    said = given.messages if given.messages is not None else given.input_data
    messages: Sequence[Message] = (
        [Message(role="user", content=said)] if isinstance(said, str) else said or []
    )
    parameters = given.parameters or defaults or _DEFAULTS
    return GenerationQuery(model=model, messages=messages, parameters=parameters)


def usage_of(ending: Ending) -> TokenUsage:
    """Return the tokens of an answer, as they go over the wire."""
    return TokenUsage(
        prompt_tokens=ending.prompt_tokens,
        completion_tokens=ending.completion_tokens,
        total_tokens=ending.prompt_tokens + ending.completion_tokens,
    )


def as_api_error(error: OctomilError) -> ApiError:
    """Return the error that tells a caller the same.

    Example:
        >>> as_api_error(InvalidRequestError("no room", code="context_length_exceeded")).details
        {'code': 'context_length_exceeded'}
    """
    match error:
        case ApiError():
            return error
        case InvalidRequestError(param=param, code=code):
            kind = API_STATUSES.get(error.status, BadRequestError)
            named = {"param": param, "code": code}
            return kind(str(error), {name: value for name, value in named.items() if value})
        case UnknownModelError():
            return NotFoundError(f"{error}; GET /inference/health lists what there is")
        case EngineUnavailableError(retry_after_s=wait_s):
            return ServiceUnavailableError(str(error), {"retry_after_s": max(1, round(wait_s))})
        case _:
            return ServiceUnavailableError(str(error), {"retry_after_s": 1})
