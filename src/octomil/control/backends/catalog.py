"""Which backends there are, in the order in which they are tried: one line each."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from octomil.config import Settings
from octomil.control.ports import InferenceBackend
from octomil.control.serving_node import ServingNode
from octomil.engines.upstream import Upstream, open_upstream

LONGEST_CONNECT_S: Final = 3.0
"""A server that takes no connection for so long is down, however long its answers may take."""


def _ollama(settings: Settings) -> InferenceBackend:
    from octomil.control.backends.ollama import OllamaBackend

    return OllamaBackend(_upstream(settings.ollama_base_url, settings))


def _openai(settings: Settings) -> InferenceBackend | None:
    if not settings.openai_api_endpoint:
        return None
    from octomil.control.backends.openai import OpenAIBackend

    endpoint, key = settings.openai_api_endpoint, settings.openai_api_key
    return OpenAIBackend(_upstream(endpoint, settings, api_key=key))


BACKENDS: Final[Mapping[str, Callable[[Settings], InferenceBackend | None]]] = MappingProxyType(
    {"ollama": _ollama, "openai": _openai}
)
"""Name → what opens it; None where it is not set up."""


def open_backends(
    settings: Settings, node: ServingNode | None = None
) -> tuple[InferenceBackend, ...]:
    """Return the backends that are set up; each connects with its first request.

    Args:
        settings: from the environment.
        node: the serving node of this machine, the last to be asked; None where there is none.

    Raises:
        ConfigurationError: an address is none.
    """
    opened = [open_one(settings) for open_one in BACKENDS.values()]
    opened += [] if node is None else [_node(settings, node)]
    return tuple(backend for backend in opened if backend is not None)


def _node(settings: Settings, node: ServingNode) -> InferenceBackend:
    from octomil.control.backends.node import NodeBackend
    from octomil.control.backends.openai import OpenAIBackend
    from octomil.models.offers import Offers

    # It has no time to answer in: it fetches and loads what it is asked for.
    upstream = open_upstream(f"{node.url}/v1", api_key=node.key or settings.serve_key)
    inner = OpenAIBackend(upstream, name="octomil")
    return NodeBackend(node, inner, lambda: Offers(settings).by_name())


def _upstream(url: str, settings: Settings, *, api_key: str | None = None) -> Upstream:
    return open_upstream(
        url,
        api_key=api_key,
        connect_timeout_s=min(LONGEST_CONNECT_S, settings.backend_timeout_s),
        read_timeout_s=settings.backend_timeout_s,
    )
