"""What a client runs on this machine: predictions, and models that are loaded for many of them."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Unpack

from octomil.config import Settings
from octomil.engines.packages import require_packages
from octomil.errors import InsufficientSpaceError, MissingDependencyError, NoEngineError
from octomil.sdk import cloud_predictions
from octomil.sdk.cloud_predictions import CloudQuery
from octomil.sdk.connected import Connected
from octomil.sdk.parameters import Asked, Parameters, Query, given
from octomil.sdk.predictions import Prediction, PredictionChunk

if TYPE_CHECKING:
    from octomil.sdk.loaded_model import LoadedModel
    from octomil.sdk.local_models import LocalModels

_CACHE_SIZE_MB = 2048
_PACKAGES = ("msgspec", "psutil")
_NOT_HERE = (InsufficientSpaceError, NoEngineError, MissingDependencyError)
"""What keeps a model from running on this machine, so that the control plane is asked instead."""


class LocalInference(Connected):
    """Models on this machine.

    A model is found by name in the catalog, by an alias, a path or another reference, else in the
    control plane's registry; it is fetched and verified, loaded, and stays loaded for whoever asks
    next. All that are loaded fit into the memory that was free when the first one was; the least
    recently used are unloaded for the sake of others.
    """

    def __init__(
        self, api_key: str | None = None, org_id: str | None = None, api_base: str | None = None
    ) -> None:
        super().__init__(api_key, org_id, api_base)
        self._connection = (api_key, org_id, api_base)
        self._models: LocalModels | None = None
        self._models_lock = threading.Lock()

    def predict(
        self,
        model: str,
        messages: Asked,
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        **more: Unpack[Parameters],
    ) -> Prediction:
        """Answer with a model of this machine, which is fetched and loaded if need be.

        Where the model does not fit into this machine's memory, or nothing here can run it, the
        control plane is asked instead, and `metrics.fallback_reason` says why.

        Args:
            model: by a name that the catalog or the registry knows, or another reference.
            messages: a conversation, as objects with `role` and `content`; or what a user says.
            max_tokens: of the answer; None for as many as the context holds.
            temperature: 0 takes the likeliest token each time; None is the model's to decide.
            top_p: tokens are drawn from the likeliest that have this share together.
            **more: `top_k`, `min_p`, `stop`, `seed`, `frequency_penalty`, `presence_penalty`.

        Returns:
            A `str`, with `metrics`.

        Raises:
            UnknownModelError: neither the catalog nor the registry has such a model.
            ModelError: it cannot be fetched, or is not what was promised.
            EngineError: it cannot be loaded, refuses what it is asked, or fails.
            OctomilClientError: the control plane cannot be asked.
        """
        chosen = given(max_tokens=max_tokens, temperature=temperature, top_p=top_p, **more)
        try:
            query, loaded = self._prepare(model, messages, chosen)
        except _NOT_HERE as error:
            asked = CloudQuery(model, messages, chosen, str(error))
            return cloud_predictions.answer(self._api, asked)
        return loaded.answer(query, loaded.load_ms)

    async def predict_stream(
        self,
        model: str,
        messages: Asked,
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        **more: Unpack[Parameters],
    ) -> AsyncGenerator[PredictionChunk, None]:
        """Answer piece by piece: `async for`; otherwise as `predict`.

        The last piece is empty and has the `metrics`. Leaving the loop and cancelling its task stop
        the generation; other tasks of the event loop go on meanwhile.
        """
        chosen = given(max_tokens=max_tokens, temperature=temperature, top_p=top_p, **more)
        try:
            query, loaded = await asyncio.to_thread(self._prepare, model, messages, chosen)
            pieces = loaded.pieces(query, loaded.load_ms)
        except _NOT_HERE as error:
            asked = CloudQuery(model, messages, chosen, str(error))
            pieces = cloud_predictions.pieces(self._api, asked)
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece

    def load_model(
        self,
        model: str,
        version: str | None = None,
        engine: str | None = None,
        cache_size_mb: int = _CACHE_SIZE_MB,
    ) -> "LoadedModel":
        """Load a model on this machine, for many predictions; it is loaded once for all who ask.

        Args:
            model: by a name that the catalog or the registry knows, or another reference.
            version: of the registry: a number or an alias such as `@production`. None for the
                catalog's model of that name, else for the registry's latest published version.
            engine: what is to run it: `llama.cpp`, `transformers`, `onnxruntime`, `mlx-lm` or
                `echo`; None for what suits its format best.
            cache_size_mb: MiB at the most for prompts that were read before, as far as there is
                room; counts when the model is loaded first.

        Raises:
            InsufficientSpaceError: it does not fit into memory or on the disk.
            NoEngineError: nothing here runs it, or the engine asked for does not.
            MissingDependencyError: its engine needs packages that are not installed.
            ConfigurationError: there is no such engine; the nearest is suggested.
            OctomilError: as in `predict`.
        """
        began = perf_counter()
        require_packages("local engines", _PACKAGES, extra="serve")
        from octomil.sdk.loaded_model import LoadedModel
        from octomil.sdk.local_models import Wanted

        models = self._open_models()
        resident = models.load(Wanted(name=model, version=version, engine=engine), cache_size_mb)
        return LoadedModel(model, resident, models.engines, 1000 * (perf_counter() - began))

    def _prepare(
        self, model: str, messages: Asked, parameters: dict[str, Any]
    ) -> "tuple[Query, LoadedModel]":
        """Check what is asked, then load the model: a slip must not cost a transfer."""
        require_packages("local engines", _PACKAGES, extra="serve")
        return Query.read(messages, parameters), self.load_model(model)

    def _open_models(self) -> "LocalModels":
        from octomil.sdk.local_models import LocalModels
        from octomil.sdk.model_registry import ModelRegistry

        with self._models_lock:
            if self._models is None:
                registry = partial(ModelRegistry, *self._connection)
                self._models = LocalModels(Settings.from_env(), registry)
            return self._models

    def dispose(self) -> None:
        """Unload every model; what is asked next loads its own anew.

        A prediction under way ends with an `EngineUnavailableError`, and so does a `LoadedModel`
        that is asked from now on.
        """
        with self._models_lock:
            models, self._models = self._models, None
        if models is not None:
            models.close()

    def close(self) -> None:
        """Unload every model and close every connection; closing twice is harmless."""
        self.dispose()
        super().close()
