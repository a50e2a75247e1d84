"""What a worker is told to run; crosses the process boundary as JSON."""

from dataclasses import dataclass
from pathlib import Path

from octomil.errors import ConfigurationError
from octomil.models.catalog import ModelKind


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpec:
    """One model and how to run it.

    Attributes:
        name: the model's name in answers.
        path: the GGUF file.
        slots: requests worked on at once.
        context_tokens: tokens of prompt and answer together, for each slot.
        threads: CPU threads.
        cache_mib: memory for prompts kept after their request (llama.cpp's own default is 8192).
        batch_tokens: prompt tokens evaluated at a time. It bounds how long a long prompt stalls
            the other slots and delays its own cancellation; below 32, llama.cpp may abort.
        kind: what the model was made for: to chat, to continue text, or to make vectors.
    """

    name: str
    path: Path
    slots: int = 2
    context_tokens: int = 4096
    threads: int = 1
    cache_mib: int = 256
    batch_tokens: int = 64
    kind: ModelKind = "chat"

    def __post_init__(self) -> None:
        minimum = {"slots": 1, "context_tokens": 64, "threads": 1, "cache_mib": 0}
        for field, least in {**minimum, "batch_tokens": 32}.items():
            value = getattr(self, field)
            if value < least:
                raise ConfigurationError(f"{field} must be {least} or more, got {value}")
