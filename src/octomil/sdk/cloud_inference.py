"""What a client asks the control plane's models: tokens, and embeddings."""

from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from typing import Any

from octomil.inference.embeddings import EMBED_TIMEOUT_S, EmbeddingResult, fetch_embeddings
from octomil.inference.queries import Messages
from octomil.inference.streaming import STREAM_TIMEOUT_S, stream_tokens, stream_tokens_async
from octomil.inference.tokens import StreamToken
from octomil.sdk.resources.base import Resource


class CloudInference(Resource):
    """Calls to models that run elsewhere; nothing is downloaded, nothing runs here."""

    def stream_predict(
        self,
        model: str,
        input: str | Messages,  # noqa: A002 - as `embed` has it
        *,
        parameters: Mapping[str, Any] | None = None,
        timeout: float = STREAM_TIMEOUT_S,
    ) -> Generator[StreamToken, None, None]:
        """Stream a model's answer; the last token is `done`.

        Args:
            model: the model, by the name that the control plane's backends know.
            input: what the user says; or a conversation, as a list of messages.
            parameters: such as `temperature` and `max_tokens`.
            timeout: seconds without a token, before the first and between any two.

        Raises:
            OctomilClientError: as in :func:`octomil.stream_inference`.
        """
        return stream_tokens(self._api, model, input, parameters, timeout)

    def stream_predict_async(
        self,
        model: str,
        input: str | Messages,  # noqa: A002
        *,
        parameters: Mapping[str, Any] | None = None,
        timeout: float = STREAM_TIMEOUT_S,
    ) -> AsyncGenerator[StreamToken, None]:
        """Do what :meth:`stream_predict` does, in an event loop: `async for`."""
        return stream_tokens_async(self._api.caller, model, input, parameters, timeout)

    def embed(
        self,
        model_id: str,
        input: str | Sequence[str],  # noqa: A002 - the documented name
        timeout: float = EMBED_TIMEOUT_S,
    ) -> EmbeddingResult:
        """Return embeddings of a text, or of several.

        Args:
            model_id: the model, by the name that the control plane's backends know.
            input: a text, or several.
            timeout: seconds for all of it, tries and waits included.

        Raises:
            OctomilClientError: as in :func:`octomil.embed`.
        """
        return fetch_embeddings(self._api, model_id, input, timeout)
