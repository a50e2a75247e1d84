"""The SDK and the command line against a real control plane."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from octomil.sdk.model_registry import ModelRegistry
from support.control import printed_key, upping
from support.serving import ServeProcess


@dataclass(frozen=True)
class Place:
    """A running control plane, and a key that is good for everything there."""

    served: ServeProcess
    key: str

    @property
    def env(self) -> dict[str, str]:
        return {"OCTOMIL_API_BASE": self.served.url, "OCTOMIL_API_KEY": self.key}

    def registry(self, **options) -> ModelRegistry:
        return ModelRegistry(api_key=self.key, api_base=self.served.url, **options)


@contextmanager
def control_place(folder: Path, *arguments: str, key: str | None = None) -> Iterator[Place]:
    """Run `octomil up` on a folder; `key` is the one that its first start printed."""
    with upping(folder, *arguments) as served:
        yield Place(served, key or printed_key(served))


def octomil(
    *words: str, timeout_s: float = 120, stdin: str = "", **env: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "octomil.cli.main", *words],
        input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False,
        env={**os.environ, **env},
    )  # fmt: skip
