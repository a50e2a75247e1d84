"""Model files of others, looked at and converted in the sandbox: what the servers call."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from octomil.convert.formats import Format
from octomil.convert.inspection import Inspection, RefusedFileError
from octomil.convert.sandbox import (
    Children,
    Limits,
    require_room,
    run_in_sandbox,
    sandbox,
)

_MIB = 1 << 20
_INSPECTION = Limits(memory_bytes=1024 * _MIB, file_bytes=16 * _MIB, cpu_s=120, wall_s=300)
_TORCH_MEMORY_BYTES = 6 * 1024 * _MIB  # torch alone reserves some of these
_COPIES = 4  # of the file, that torch and safetensors hold at once
_MORE_BYTES = 256 * _MIB  # than the file has, for tensors that share bytes in it


class CannotConvertError(Exception):
    """A file has no form in the format that was wanted; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What a conversion left out.

    Attributes:
        left_out: names of values that are no tensors.
    """

    left_out: tuple[str, ...]


def inspect_in_sandbox(
    path: Path, scratch: Path | None = None, children: Children | None = None
) -> Inspection:
    """Look through a file without loading any of it.

    Args:
        path: the file.
        scratch: a folder for the sandbox's own.
        children: those that are ended together.

    Raises:
        RefusedFileError: it is of no format that is taken, would do harm when loaded, or cannot be
            looked through with reasonable means.
        SandboxError: whoever was to look gave no answer, which says nothing of the file.
        SandboxEndedError: all of `children` were ended.
        InsufficientSpaceError: the disk is full.
    """
    with sandbox(scratch) as folder:
        found = run_in_sandbox(
            "-m",
            "octomil.convert.inspect_child",
            arguments=(str(path.absolute()),),
            folder=folder,
            limits=_INSPECTION,
            children=children,
        )
    if "refused" in found:
        raise RefusedFileError(str(found["refused"]))
    return Inspection.from_object(found)


def can_convert(found: Inspection) -> str | None:
    """Return None if safetensors can be made of such a file here, else why not."""
    if found.format is not Format.PYTORCH:
        return f"safetensors are made of state dicts alone, and this is {found.format}"
    if found.unknown_imports:
        return f"it needs code of its author's: {', '.join(found.unknown_imports[:5])}"
    if find_spec("torch") is None or find_spec("safetensors") is None:
        return "torch and safetensors are not installed where the server runs"
    return None


def to_safetensors(source: Path, target: Path, children: Children | None = None) -> Converted:
    """Make safetensors of a torch state dict.

    Args:
        source: a file that `can_convert` approved of.
        target: made here; its folder is where the sandbox works.
        children: those that are ended together.

    Raises:
        CannotConvertError: it holds no tensors, cannot be loaded with reasonable means, or its
            tensors would take 256 MiB more than it, each written out.
        SandboxError: whoever was to convert gave no answer, which says nothing of the file.
        SandboxEndedError: all of `children` were ended.
        InsufficientSpaceError: the disk is full.
    """
    size = source.stat().st_size
    limits = Limits(
        memory_bytes=_TORCH_MEMORY_BYTES + _COPIES * size, file_bytes=size + _MORE_BYTES
    )
    with sandbox(target.parent) as folder:
        made = folder / "made.safetensors"
        found = run_in_sandbox(
            "-m",
            "octomil.convert.torch_child",
            arguments=(str(source.absolute()), str(made), str(limits.file_bytes)),
            folder=folder,
            limits=limits,
            children=children,
        )
        if "failed" in found:
            require_room(folder)
        if "failed" in found or not made.is_file() or made.is_symlink():
            raise CannotConvertError(str(found.get("failed", "nothing was written")))
        made.rename(target)
    return Converted(left_out=tuple(map(str, found["left_out"])))
