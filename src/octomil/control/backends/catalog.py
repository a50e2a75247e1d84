"""Which backends there are, in the order in which they are tried: one line each."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from octomil.config import Settings
from octomil.control.ports import InferenceBackend
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


def open_backends(settings: Settings) -> tuple[InferenceBackend, ...]:
    """Return the backends that are set up; each connects with its first request.

    Raises:
        ConfigurationError: an address is none.
    """
    opened = (open_one(settings) for open_one in BACKENDS.values())
    return tuple(backend for backend in opened if backend is not None)


def _upstream(url: str, settings: Settings, *, api_key: str | None = None) -> Upstream:
    return open_upstream(
        url,
        api_key=api_key,
        connect_timeout_s=min(LONGEST_CONNECT_S, settings.backend_timeout_s),
        read_timeout_s=settings.backend_timeout_s,
    )
