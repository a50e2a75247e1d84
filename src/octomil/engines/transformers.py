"""Transformers: any causal language model that it knows, from safetensors or GGUF, by torch."""

from pathlib import Path
from typing import Any

from octomil.engines.threaded import ThreadedEngine, Writing
from octomil.errors import EngineError, InvalidRequestError
from octomil.models.catalog import ModelKind

_UNKNOWN = ("frequency_penalty", "presence_penalty")
_SAMPLING = ("temperature", "top_p", "top_k", "min_p")


class TransformersEngine(ThreadedEngine):
    """A causal language model in this process, on the CPU, in float32.

    Code that comes with a model is never run, and no weights are unpickled: a folder needs
    safetensors. A GGUF file is turned back into full weights, so that it takes more memory here
    than in llama.cpp.

    Args:
        name: the model name in its answers.
        path: a GGUF file, or a folder with `config.json`, the tokenizer and safetensors.
        kind: what the model was made for.
        context_tokens: of prompt and answer together.
        threads: CPU threads; torch has one number of them for the whole process.
    """

    def __init__(
        self, name: str, path: Path, *, kind: ModelKind, context_tokens: int, threads: int = 1
    ) -> None:
        super().__init__(name, context_tokens=context_tokens, chats=kind == "chat")
        self._path, self._threads = path, threads
        self._model: Any = None
        self._tokenizer: Any = None

    def load_model(self) -> None:
        """Load weights and tokenizer.

        Raises:
            EngineError: transformers does not know or cannot read the model.
        """
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        torch.set_num_threads(self._threads)
        where: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        folder = self._path
        if folder.is_file():
            folder, where["gguf_file"] = folder.parent, folder.name
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, **where)
            self._model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=torch.float32, use_safetensors=True, **where
            ).eval()
        except Exception as error:
            self.unload_model()
            raise EngineError(f"{self._path} could not be loaded: {error}") from error

    def unload_model(self) -> None:
        """Let go of weights and tokenizer."""
        self._model = self._tokenizer = None

    def count_tokens(self, text: str) -> int:
        """Count the tokens of `text`, without those that begin or end one."""
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def write(self, writing: Writing) -> None:
        """Write until the end, or until nobody waits for more."""
        import torch
        from transformers import StoppingCriteriaList

        prompt = self._prompt(writing.body)
        read = writing.usage.prompt_tokens = prompt["input_ids"].shape[1]
        limit = self.room_for(read, writing.max_tokens)
        watch = _watch(writing, read)
        seed = writing.body.get("seed")
        with torch.inference_mode(), torch.random.fork_rng(devices=[], enabled=seed is not None):
            if seed is not None:
                torch.manual_seed(seed % 2**63)
            made = self._model.generate(
                **prompt,
                **_sampling(writing.body),
                max_new_tokens=limit,
                streamer=_streamer(self._tokenizer, writing),
                stopping_criteria=StoppingCriteriaList([watch]),
                pad_token_id=self._tokenizer.pad_token_id or self._tokenizer.eos_token_id,
            )
        written = made.shape[1] - read
        ended = int(made[0, -1]) in _end_tokens(self._model.generation_config.eos_token_id)
        writing.usage.completion_tokens = written - ended
        writing.usage.finish_reason = "stop" if ended or written < limit else "length"

    def _prompt(self, body: dict[str, Any]) -> Any:
        """Return the prompt as tensors."""
        if "prompt" in body:
            return self._tokenizer(body["prompt"], return_tensors="pt")
        try:
            return self._tokenizer.apply_chat_template(
                body["messages"],
                add_generation_prompt=True,
                return_tensors="pt",
                return_dict=True,
            )
        except Exception as error:  # the template is the model's own, and complains as it likes
            raise InvalidRequestError(
                f"the prompt format of model {self.name!r} refuses the messages: {error}",
                param="messages",
            ) from error


def _sampling(body: dict[str, Any]) -> dict[str, Any]:
    """Return how tokens are drawn, in transformers' words.

    Raises:
        InvalidRequestError: transformers knows nothing of the kind.
    """
    for name in _UNKNOWN:
        if body.get(name):
            raise InvalidRequestError(
                f"transformers knows no {name}: leave it out, or take another engine", param=name
            )
    if body.get("temperature") == 0:
        return {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    chosen = {name: body[name] for name in _SAMPLING if body.get(name) is not None}
    return {"do_sample": True, **chosen}


def _end_tokens(ids: Any) -> set[int]:
    if ids is None:
        return set()
    return set(ids) if isinstance(ids, list) else {ids}


def _streamer(tokenizer: Any, writing: Writing) -> Any:
    """Return what hands whole words over as the model writes them."""
    from transformers import TextStreamer

    class Streamer(TextStreamer):  # type: ignore[misc]
        """Passes text on instead of printing it."""

        def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
            writing.say(text)

    return Streamer(tokenizer, skip_prompt=True, skip_special_tokens=True)


def _watch(writing: Writing, read: int) -> Any:
    """Return what counts the tokens, and ends the generation when nobody waits for more."""
    import torch
    from transformers import StoppingCriteria

    class Watch(StoppingCriteria):  # type: ignore[misc]
        """Looks at the text after each token."""

        def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
            writing.usage.completion_tokens = input_ids.shape[1] - read
            shape = (input_ids.shape[0],)
            return torch.full(shape, writing.should_stop, dtype=torch.bool, device=input_ids.device)

    return Watch()
