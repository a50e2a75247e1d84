"""Text embeddings by onnxruntime: mean-pooled, normalised, no torch."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from octomil.config import forbid_telemetry
from octomil.engines.base import (
    Capabilities,
    Completion,
    Deathless,
    Embeddings,
    EventStream,
    GenerationRequest,
    Progress,
)
from octomil.errors import EngineError, EngineUnavailableError, InvalidRequestError

_BATCH = 32


class OnnxEmbeddingEngine(Deathless):
    """A sentence encoder: an ONNX file that returns `last_hidden_state`, and its tokenizer.

    Args:
        name: the model's name in messages.
        locate: returns the `.onnx` file and its `tokenizer.json`; called by `load` in a thread, so
            that it may fetch them.
        max_tokens: tokens of a text the model reads; a longer text is refused, not cut in silence.
        threads: CPU threads.
    """

    def __init__(
        self,
        name: str,
        locate: Callable[[], tuple[Path, Path]],
        *,
        max_tokens: int = 256,
        threads: int = 1,
    ) -> None:
        self.name = name
        self._locate = locate
        self._max_tokens, self._threads = max_tokens, threads
        self._session: Any = None
        self._tokenizer: Any = None
        self._busy = 0
        self._capabilities = Capabilities(
            chat=False,
            completions=False,
            embeddings=True,
            tools=False,
            logprobs=False,
            structured_output=False,
            context_tokens=max_tokens,
            max_concurrency=1,
        )

    @property
    def capabilities(self) -> Capabilities:
        """Embeddings, and nothing else."""
        return self._capabilities

    async def load(self, progress: Progress) -> None:
        """Load the session and the tokenizer in a thread."""
        progress(f"{self.name}: loading")
        await asyncio.to_thread(self._load)

    def _load(self) -> None:
        forbid_telemetry()
        import onnxruntime
        from tokenizers import Tokenizer

        model, tokenizer_file = self._locate()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        try:
            session = onnxruntime.InferenceSession(
                str(model), options, providers=["CPUExecutionProvider"]
            )
            tokenizer = Tokenizer.from_file(str(tokenizer_file))
        except Exception as error:
            raise EngineError(f"{model} could not be loaded: {error}") from error
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._session, self._tokenizer = session, tokenizer

    async def generate(self, request: GenerationRequest) -> Completion:
        """Refuse: an embedding model writes no text."""
        raise self._writes_no_text()

    def stream(self, request: GenerationRequest) -> EventStream:
        """Refuse: an embedding model writes no text."""
        raise self._writes_no_text()

    def _writes_no_text(self) -> InvalidRequestError:
        return InvalidRequestError(
            f"model {self.name!r} makes embeddings and writes no text; ask a chat model",
            param="model",
        )

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Turn texts into vectors of unit length, float32, in a thread."""
        if self._session is None:
            raise EngineUnavailableError(f"model {self.name!r} is not loaded")
        self._busy += 1
        try:
            return await asyncio.to_thread(self._embed, list(texts))
        finally:
            self._busy -= 1

    def _embed(self, texts: list[str]) -> Embeddings:
        encodings = self._tokenizer.encode_batch(texts)
        for index, encoding in enumerate(encodings):
            if len(encoding.ids) > self._max_tokens:
                raise InvalidRequestError(
                    f"input {index} has {len(encoding.ids)} tokens, more than the "
                    f"{self._max_tokens} that model {self.name!r} reads; split it",
                    param="input",
                    code="context_length_exceeded",
                )
        # Sorted by length, so that a batch is padded little.
        order = sorted(range(len(texts)), key=lambda i: len(encodings[i].ids))
        vectors: list[Any] = [None] * len(texts)
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            rows = self._run([encodings[i].ids for i in batch])
            for i, row in zip(batch, rows, strict=True):
                vectors[i] = row.tolist()
        return Embeddings(vectors, sum(len(e.ids) for e in encodings))

    def _run(self, ids: list[list[int]]) -> Any:
        longest = max(len(row) for row in ids)
        padded = np.zeros((len(ids), longest), dtype=np.int64)
        mask = np.zeros_like(padded)
        for i, row in enumerate(ids):
            padded[i, : len(row)] = row
            mask[i, : len(row)] = 1
        feeds = {
            "input_ids": padded,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(padded),
        }
        (hidden,) = self._session.run(["last_hidden_state"], feeds)
        weights = mask[:, :, None].astype(np.float32)
        pooled = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)

    async def tokens(self, text: str) -> int:
        """Count the tokens of `text`."""
        if self._tokenizer is None:
            raise EngineUnavailableError(f"model {self.name!r} is not loaded")
        return len(self._tokenizer.encode(text).ids)

    async def busy(self) -> int:
        """Tell how many batches of texts are at work."""
        return self._busy

    async def close(self) -> None:
        """Drop the session."""
        self._session = self._tokenizer = None
