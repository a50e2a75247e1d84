"""The sandbox's child that makes safetensors of a torch file: `… LIMITS SOURCE TARGET BYTES`.

`torch.load(weights_only=True)` builds tensors and plain containers, and calls nothing else. It
prints a line of JSON: what was written, or why nothing was. A file that takes more memory or
processor time than it is given is not converted: it would take as much the next time.

A thousand bytes can stand for any number of them: a tensor may have one stored number for all its
places (a stride of 0), many tensors may lie in one storage, few containers may hold each other many
times, and an archive may be compressed. So what all of it would take is summed up before any of it
is made.
"""

import json
import math
import signal
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

from octomil.convert.confinement import confine

MAX_DEPTH = 16
MAX_VALUES = 100_000
_ZIP_BEGINS = b"PK\x03\x04"
_ENTRY_BYTES = 64  # of the target's header for each tensor, its name aside


class TooMuchError(Exception):
    """What a file stands for is more than what is made of one."""


def main() -> None:
    """Confine this process, then convert."""
    source, target, most_bytes = confine(sys.argv)
    signal.signal(signal.SIGXCPU, _out_of_time)
    found = convert(Path(source), Path(target), int(most_bytes))
    print(json.dumps(found))  # noqa: T201 - read by the parent


def convert(source: Path, target: Path, most_bytes: int) -> dict[str, Any]:
    """Write the tensors of a torch file to a safetensors file.

    Args:
        source: the torch file.
        target: made here.
        most_bytes: what may be unpacked, and what may be written.

    Returns:
        `{"tensors": how many, "left_out": names of what are no tensors}`, or `{"failed": why}`.

    Raises:
        OSError: this machine's trouble, which says nothing of the file.
    """
    import torch
    from safetensors.torch import save_file

    tensors, left_out = {}, []
    try:
        _check_unpacked(source, most_bytes)
        loaded = torch.load(source, map_location="cpu", weights_only=True)
        for name, value in _within(_leaves(loaded), most_bytes):
            if isinstance(value, torch.Tensor) and value.layout is torch.strided and value.numel():
                tensors[name] = value.detach().clone(memory_format=torch.contiguous_format)
            else:
                left_out.append(name)
        if tensors:
            save_file(tensors, target)
    except OSError:
        raise
    except TooMuchError as error:
        return {"failed": str(error)}
    except Exception as error:  # noqa: BLE001 - whatever torch trips over is in the file
        return {"failed": f"torch.load(weights_only=True) refuses it: {_first_line(error)}"}
    if not tensors:
        return {"failed": "it holds no tensors"}
    return {"tensors": len(tensors), "left_out": left_out[:100]}


def _check_unpacked(source: Path, most_bytes: int) -> None:
    """Add up what the members of an archive say they unpack to.

    What is one is decided as by torch: by the first bytes, since weights in torch's older, flat
    format may well hold what the end of an archive looks like.

    Raises:
        TooMuchError: it is more than `most_bytes`.
    """
    with source.open("rb") as file:
        if file.read(len(_ZIP_BEGINS)) != _ZIP_BEGINS:
            return
    with zipfile.ZipFile(source) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > most_bytes:
        raise TooMuchError(f"it would be {unpacked} bytes unpacked, more than {most_bytes}")


def _within(leaves: Iterable[tuple[str, Any]], most_bytes: int) -> list[tuple[str, Any]]:
    """Return values by name that can all be written out.

    Raises:
        TooMuchError: they would be more than `most_bytes`, or there are more than `MAX_VALUES`.
    """
    import torch

    found, size = [], 0
    for name, value in leaves:
        size += _ENTRY_BYTES + len(name)
        if isinstance(value, torch.Tensor):
            size += math.prod(value.shape) * value.element_size()
        if size > most_bytes:
            raise TooMuchError(f"its tensors would be more than {most_bytes} bytes written out")
        found.append((name, value))
    return found


def _leaves(
    value: Any, name: str = "", depth: int = 0, seen: Iterator[int] | None = None
) -> Iterator[tuple[str, Any]]:
    """Yield what lies in nested containers; names are joined by dots.

    Args:
        value: a container, or what lies in one.
        name: of `value`.
        depth: in how many containers it lies.
        seen: counts all that is come by, empty containers too.
    """
    seen = count(1) if seen is None else seen
    if next(seen) > MAX_VALUES:
        raise TooMuchError(f"it holds more than {MAX_VALUES} tensors, other values and containers")
    if depth > MAX_DEPTH:
        raise TooMuchError(f"containers lie more than {MAX_DEPTH} deep in each other")
    items: Iterator[tuple[Any, Any]]
    if isinstance(value, Mapping):
        items = iter(value.items())
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    else:
        yield name or "tensor", value
        return
    for key, each in items:
        yield from _leaves(each, f"{name}.{key}" if name else str(key), depth + 1, seen)


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0][:300]


def _out_of_time(_number: int, _frame: object) -> NoReturn:
    raise RuntimeError("it takes too long to load")


if __name__ == "__main__":
    main()
