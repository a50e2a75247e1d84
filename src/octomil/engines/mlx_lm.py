"""mlx-lm: language models on the GPU of Apple's own processors, from a safetensors folder."""

from pathlib import Path
from typing import Any

from octomil.engines.machines import require_apple
from octomil.engines.threaded import ThreadedEngine, Writing
from octomil.errors import EngineError, InvalidRequestError

_UNKNOWN = ("frequency_penalty", "presence_penalty")


class MlxLmEngine(ThreadedEngine):
    """A language model in this process, by MLX.

    Written to mlx-lm's documented calls; nothing here could be run on the machines it was made on.

    Args:
        name: the model name in its answers.
        path: a folder with `config.json`, the tokenizer and safetensors.
        context_tokens: of prompt and answer together.
    """

    def __init__(self, name: str, path: Path, context_tokens: int) -> None:
        super().__init__(name, context_tokens=context_tokens, chats=True)
        self._path = path
        self._model: Any = None
        self._tokenizer: Any = None

    def load_model(self) -> None:
        """Load weights and tokenizer.

        Raises:
            NoEngineError: this is no Apple processor.
            EngineError: mlx-lm does not know or cannot read the model.
        """
        require_apple()
        from mlx_lm import load

        try:
            self._model, self._tokenizer = load(str(self._path))
        except Exception as error:
            raise EngineError(f"{self._path} could not be loaded: {error}") from error

    def unload_model(self) -> None:
        """Let go of weights and tokenizer."""
        self._model = self._tokenizer = None

    def count_tokens(self, text: str) -> int:
        """Count the tokens of `text`, without those that begin or end one."""
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def write(self, writing: Writing) -> None:
        """Write until the end, or until nobody waits for more."""
        import mlx.core as mx
        from mlx_lm import stream_generate

        body, usage = writing.body, writing.usage
        prompt = self._prompt(body)
        usage.prompt_tokens = len(prompt)
        if body.get("seed") is not None:
            mx.random.seed(body["seed"] % 2**63)
        answers = stream_generate(
            self._model,
            self._tokenizer,
            prompt,
            max_tokens=self.room_for(len(prompt), writing.max_tokens),
            sampler=_sampler(body),
        )
        for answer in answers:
            writing.say(answer.text)
            usage.completion_tokens = answer.generation_tokens
            usage.finish_reason = answer.finish_reason
            if writing.should_stop:
                answers.close()
                return

    def _prompt(self, body: dict[str, Any]) -> list[int]:
        if "prompt" in body:
            return list(self._tokenizer.encode(body["prompt"]))
        return list(
            self._tokenizer.apply_chat_template(body["messages"], add_generation_prompt=True)
        )


def _sampler(body: dict[str, Any]) -> Any:
    """Return how tokens are drawn, in mlx-lm's words.

    Raises:
        InvalidRequestError: mlx-lm knows nothing of the kind.
    """
    from mlx_lm.sample_utils import make_sampler

    for name in _UNKNOWN:
        if body.get(name):
            raise InvalidRequestError(
                f"mlx-lm knows no {name}: leave it out, or take another engine", param=name
            )
    temperature = body.get("temperature")
    return make_sampler(
        temp=1.0 if temperature is None else temperature,
        top_p=body.get("top_p") or 0.0,
        min_p=body.get("min_p") or 0.0,
        top_k=body.get("top_k") or 0,
    )
