"""What is asked of a model, as it goes over the wire, and by whom."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from octomil.errors import ConfigurationError

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
        body["messages"] = [dict(message) for message in input_data]
    if parameters is not None:
        body["parameters"] = dict(parameters)
    return body


def bearer_of(api_key: str) -> Callable[[], str]:
    """Return what shows a key.

    Raises:
        ConfigurationError: there is none.
    """
    if not api_key:
        raise ConfigurationError("api_key is empty; `octomil keys create NAME` makes one")
    return lambda: api_key
