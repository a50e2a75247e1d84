"""What is asked of a model, as it goes over the wire."""

from collections.abc import Iterable, Mapping
from typing import Any

from octomil.errors import BadRequestError

Messages = Iterable[Mapping[str, Any]]
"""A conversation: objects with `role` and `content`."""


def query_body(
    model_id: str, input_data: str | Messages, parameters: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the body of a request for text.

    Args:
        model_id: the model, by the name that the control plane's backends know.
        input_data: what the user says; or a whole conversation.
        parameters: such as `temperature` and `max_tokens`; the control plane checks them.

    Raises:
        BadRequestError: that is no conversation, or the parameters are no object.

    Example:
        >>> query_body("m", "Hello", {"max_tokens": 8})
        {'model_id': 'm', 'input_data': 'Hello', 'parameters': {'max_tokens': 8}}
        >>> query_body("m", [{"role": "user", "content": "Hello"}], None)
        {'model_id': 'm', 'messages': [{'role': 'user', 'content': 'Hello'}]}
    """
    body: dict[str, Any] = {"model_id": model_id}
    if isinstance(input_data, str):
        body["input_data"] = input_data
    else:
        body["messages"] = _messages(input_data)
    if parameters is not None:
        if not isinstance(parameters, Mapping):
            raise BadRequestError(
                f'parameters are no object, such as {{"temperature": 0.2}}: {parameters!r:.80}'
            )
        body["parameters"] = dict(parameters)
    return body


def _messages(conversation: Messages) -> list[dict[str, Any]]:
    # An object is iterable as well: its keys would be taken for messages.
    if not isinstance(conversation, Mapping) and isinstance(conversation, Iterable):
        messages = list(conversation)
        if all(isinstance(message, Mapping) for message in messages):
            return [dict(message) for message in messages]
    raise BadRequestError(
        "input_data is neither a text nor a list of messages, such as "
        f'[{{"role": "user", "content": "Hello"}}]: {conversation!r:.80}'
    )
