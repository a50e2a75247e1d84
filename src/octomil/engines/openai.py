"""Any OpenAI-compatible endpoint as an engine: `openai:NAME`."""

from octomil.config import Settings
from octomil.engines.base import Capabilities, Progress
from octomil.engines.openai_wire import OpenAIWireEngine
from octomil.engines.upstream import open_upstream
from octomil.errors import ConfigurationError

_CONCURRENCY = 256


class OpenAIEngine(OpenAIWireEngine):
    """A model behind `OPENAI_API_ENDPOINT`.

    What the endpoint's model can do is not asked beforehand: an unsupported request is refused by
    the endpoint itself, and the refusal is passed on.
    """

    def __init__(self, model: str, settings: Settings) -> None:
        super().__init__(
            model,
            capabilities=Capabilities(embeddings=True, media=True, max_concurrency=_CONCURRENCY),
        )
        self._settings = settings

    async def load(self, progress: Progress) -> None:
        """Open the connection pool; the endpoint is first spoken to by the first request."""
        endpoint = self._settings.openai_api_endpoint
        if not endpoint:
            raise ConfigurationError(
                f"model 'openai:{self.model}' needs OPENAI_API_ENDPOINT, the base URL of an "
                "OpenAI-compatible server, for example http://localhost:8000/v1"
            )
        self._upstream = open_upstream(
            endpoint,
            api_key=self._settings.openai_api_key,
            connect_timeout_s=self._settings.backend_timeout_s,
            read_timeout_s=self._settings.backend_timeout_s,
        )
