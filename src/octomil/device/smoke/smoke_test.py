"""Trying a release, and telling its faults from what this device lacks."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from octomil.convert.sandbox import (
    Children,
    Limits,
    SandboxEndedError,
    SandboxError,
    SandboxFaultError,
    run_in_sandbox,
    sandbox,
)
from octomil.device.hardware import memory_bytes
from octomil.device.releases import Release
from octomil.errors import EngineError, EngineUnavailableError

_NEEDS: Final[Mapping[str, Sequence[str]]] = {
    "onnx": ("numpy", "onnxruntime"),
    "gguf": ("aiohttp", "xllamacpp"),
    "safetensors": ("numpy",),
}
"""The formats that are tried, with the packages that it takes."""

_CHILD = ("-m", "octomil.device.smoke.child")
_RESERVED_BYTES = 4 << 30  # of address space, which runtimes reserve and never touch
_FILE_BYTES = 1 << 26  # of logs
_MESSAGE_CHARS = 1000


class SmokeTest:
    """Runs every file of a release once, each in a process of its own.

    A file that crashes its runtime, hangs, or takes more memory than the device has fails. A format
    that no runtime is here for does not: programs that open the release may bring their own.

    Args:
        limits: what a trial may use; by default the memory that there is, within the container's.
        children: the trials under way, for whoever is to end them.
        needs: the packages that it takes to try a format, by format.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        needs: Mapping[str, Sequence[str]] = _NEEDS,
        children: Children | None = None,
    ) -> None:
        self._limits = limits or Limits(
            memory_bytes=memory_bytes() + _RESERVED_BYTES, file_bytes=_FILE_BYTES
        )
        self._needs = needs
        self._children = children or Children()

    def __call__(self, release: Release) -> list[str]:
        """Try a release; return what people should know: what was not tried and why, for one.

        Raises:
            EngineError: it failed.
            EngineUnavailableError: this device cannot try anything now, which is no fault of it.
            InsufficientSpaceError: there is no room to try it.
            OSError: no process can be started.
        """
        notes = []
        for format_, path in sorted(release.files.items()):
            missing = self._missing(format_)
            answer = {"not_tried": missing} if missing else self._try(format_, path)
            if "not_tried" in answer:
                notes.append(f"{format_} was not tried: {answer['not_tried']}")
            if "note" in answer:
                notes.append(f"{format_} passed its smoke test: {answer['note']}")
        return notes

    def _missing(self, format_: str) -> str:
        if format_ not in self._needs:
            return "the agent has no runtime for this format"
        missing = [name for name in self._needs[format_] if find_spec(name) is None]
        return f"it takes `pip install {' '.join(missing)}`" if missing else ""

    def _try(self, format_: str, path: Path) -> dict[str, str]:
        """Return what was found of a file that did not fail (`smoke.child`)."""
        with sandbox() as folder:
            try:
                answer: dict[str, Any] = run_in_sandbox(
                    *_CHILD,
                    arguments=(format_, str(path)),
                    folder=folder,
                    limits=self._limits,
                    children=self._children,
                )
            except SandboxEndedError as error:
                raise EngineUnavailableError(f"the trial of {format_} was ended") from error
            except SandboxFaultError as error:
                raise EngineUnavailableError(f"{format_} cannot be tried here: {error}") from error
            except SandboxError as error:
                answer = {"failed": str(error)}
        said = {name: str(value)[:_MESSAGE_CHARS] for name, value in answer.items()}
        if "failed" in said:
            raise EngineError(f"{format_} failed its smoke test: {said['failed']}")
        return said
