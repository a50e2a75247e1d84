"""A model that a local Ollama runs: `ollama:NAME`."""

from typing import Any

import msgspec

from octomil.config import Settings
from octomil.engines.base import Capabilities, Progress
from octomil.engines.openai_wire import OpenAIWireEngine
from octomil.engines.upstream import Upstream, open_upstream
from octomil.errors import EngineUnavailableError, UnknownModelError

_CONCURRENCY = 64  # Ollama queues by itself (OLLAMA_NUM_PARALLEL, OLLAMA_MAX_QUEUE)


class OllamaEngine(OpenAIWireEngine):
    """A model of the Ollama at `OLLAMA_BASE_URL`, spoken to in OpenAI's form under `/v1`."""

    prefix = "/v1"

    def __init__(self, model: str, settings: Settings) -> None:
        super().__init__(
            model,
            capabilities=Capabilities(embeddings=True, max_concurrency=_CONCURRENCY),
        )
        self._settings = settings

    async def load(self, progress: Progress) -> None:
        """Ask Ollama for the model.

        Raises:
            EngineUnavailableError: no Ollama answers.
            UnknownModelError: Ollama has not pulled the model.
        """
        base = self._settings.ollama_base_url
        # The first token may take as long as Ollama needs to load the model: minutes, not seconds.
        upstream = open_upstream(base, connect_timeout_s=self._settings.backend_timeout_s)
        try:
            capabilities = await self._look_up(upstream)
        except BaseException:
            await upstream.close()
            raise
        self._capabilities = capabilities
        self._upstream = upstream

    async def _look_up(self, upstream: Upstream) -> Capabilities:
        try:
            reply = await upstream.request(
                "POST", "/api/show", msgspec.json.encode({"model": self.model})
            )
        except EngineUnavailableError as error:
            raise EngineUnavailableError(
                f"no Ollama answers at {self._settings.ollama_base_url}; "
                "start it with `ollama serve`, or set OLLAMA_BASE_URL"
            ) from error
        if reply.status == 404:
            raise UnknownModelError(
                f"Ollama at {self._settings.ollama_base_url} has no model {self.model!r}; "
                f"fetch it with `ollama pull {self.model}`"
            )
        if reply.status != 200:
            raise EngineUnavailableError(
                f"Ollama at {self._settings.ollama_base_url} answered {reply.status} to /api/show"
            )
        return _capabilities(msgspec.json.decode(reply.body))


def _capabilities(shown: dict[str, Any]) -> Capabilities:
    """Read what `/api/show` says; an old Ollama that does not list capabilities gets them all."""
    listed = shown.get("capabilities") or ["completion", "tools", "embedding"]
    info = shown.get("model_info") or {}
    context = next((v for k, v in info.items() if k.endswith(".context_length")), None)
    return Capabilities(
        chat="completion" in listed,
        completions="completion" in listed,
        embeddings="embedding" in listed,
        tools="tools" in listed,
        media="vision" in listed,
        context_tokens=context,
        max_concurrency=_CONCURRENCY,
    )
