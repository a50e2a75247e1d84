"""The sandbox's child that makes safetensors of a torch file: `… LIMITS SOURCE TARGET`.

`torch.load(weights_only=True)` builds tensors and plain containers, and calls nothing else. It
prints a line of JSON: what was written, or why nothing was. A file that takes more memory or
processor time than it is given is not converted: it would take as much the next time.
"""

import json
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from octomil.convert.confinement import confine

MAX_DEPTH = 16


def main() -> None:
    """Confine this process, then convert."""
    source, target = map(Path, confine(sys.argv))
    signal.signal(signal.SIGXCPU, _out_of_time)
    print(json.dumps(convert(source, target)))  # noqa: T201 - read by the parent


def convert(source: Path, target: Path) -> dict[str, Any]:
    """Write the tensors of a torch file to a safetensors file.

    Returns:
        `{"tensors": how many, "left_out": names of what are no tensors}`, or `{"failed": why}`.

    Raises:
        OSError: this machine's trouble, which says nothing of the file.
    """
    import torch
    from safetensors.torch import save_file

    tensors, left_out = {}, []
    try:
        loaded = torch.load(source, map_location="cpu", weights_only=True)
        for name, value in _leaves(loaded):
            if isinstance(value, torch.Tensor) and value.layout is torch.strided and value.numel():
                tensors[name] = value.detach().clone(memory_format=torch.contiguous_format)
            else:
                left_out.append(name)
        if tensors:
            save_file(tensors, target)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever torch trips over is in the file
        return {"failed": f"torch.load(weights_only=True) refuses it: {_first_line(error)}"}
    if not tensors:
        return {"failed": "it holds no tensors"}
    return {"tensors": len(tensors), "left_out": left_out[:100]}


def _leaves(value: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield what lies in nested containers; names are joined by dots."""
    if depth > MAX_DEPTH:
        raise ValueError(f"containers lie more than {MAX_DEPTH} deep in each other")
    items: Iterator[tuple[Any, Any]]
    if isinstance(value, Mapping):
        items = iter(value.items())
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    else:
        yield name or "tensor", value
        return
    for key, each in items:
        yield from _leaves(each, f"{name}.{key}" if name else str(key), depth + 1)


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0][:300]


def _out_of_time(_number: int, _frame: object) -> NoReturn:
    raise RuntimeError("it takes too long to load")


if __name__ == "__main__":
    main()
