"""What a prediction is asked with: checked here, whoever answers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from octomil.errors import InvalidRequestError
from octomil.wire.constraints import violation
from octomil.wire.inference import InferenceParameters, Message
from octomil.wire.known_fields import UnknownFieldsError

Asked = str | Iterable[Mapping[str, Any]]
"""What a user says; or a conversation, as objects with `role` and `content`."""


class Parameters(TypedDict, total=False):
    """How else an answer is made: :class:`octomil.wire.inference.InferenceParameters` has more."""

    top_k: int | None
    min_p: float | None
    stop: str | list[str] | None
    seed: int | None
    frequency_penalty: float | None
    presence_penalty: float | None


def given(**parameters: Any) -> dict[str, Any]:
    """Return the parameters that are not left to the model."""
    return {name: value for name, value in parameters.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Query:
    """A conversation and how to answer it.

    Attributes:
        messages: each with `role` and `content`.
        parameters: those that are not left to the model.
    """

    messages: list[dict[str, str]]
    parameters: dict[str, Any]

    @classmethod
    def read(cls, asked: Asked, parameters: dict[str, Any]) -> "Query":
        """Check what is asked.

        Args:
            asked: a conversation, or what a user says.
            parameters: as `given` returns them.

        Raises:
            InvalidRequestError: it makes no sense; `param` names the argument.
        """
        import msgspec

        said = [{"role": "user", "content": asked}] if isinstance(asked, str) else list(asked)
        try:
            messages = msgspec.convert(said, list[Message])
        except (msgspec.ValidationError, TypeError) as error:
            raise InvalidRequestError(f"messages: {error}", param="messages") from None
        if not messages:
            raise InvalidRequestError("messages are empty", param="messages")
        try:
            InferenceParameters.require_known(parameters)
            checked = msgspec.convert(parameters, InferenceParameters)
        except UnknownFieldsError as error:
            raise InvalidRequestError(str(error), param=error.unknown[0]) from None
        except msgspec.ValidationError as error:
            name = str(error).partition("`$.")[2].rstrip("`")
            raise InvalidRequestError(f"parameters: {error}", param=name or None) from None
        broken = violation(checked, parameters)
        if broken is not None:
            raise InvalidRequestError(broken[1], param=broken[0])
        return cls([{"role": each.role, "content": each.content} for each in messages], parameters)
