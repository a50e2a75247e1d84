"""The sandbox's child that makes safetensors of a torch file: `… LIMITS SOURCE TARGET`.

`torch.load(weights_only=True)` builds tensors and plain containers, and calls nothing else. It
prints a line of JSON: what was written, or why nothing was.
"""

import json
import pickle
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from octomil.convert.confinement import confine

MAX_DEPTH = 16


def main() -> None:
    """Confine this process, then convert."""
    source, target = map(Path, confine(sys.argv))
    print(json.dumps(convert(source, target)))  # noqa: T201 - read by the parent


def convert(source: Path, target: Path) -> dict[str, Any]:
    """Write the tensors of a torch file to a safetensors file.

    Returns:
        `{"tensors": how many, "left_out": names of what are no tensors}`, or `{"failed": why}`.
    """
    import torch
    from safetensors.torch import save_file

    try:
        loaded = torch.load(source, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, KeyError) as error:
        return {"failed": f"torch.load(weights_only=True) refuses it: {_first_line(error)}"}
    tensors, left_out = {}, []
    for name, value in _leaves(loaded):
        if isinstance(value, torch.Tensor) and value.layout is torch.strided and value.numel():
            tensors[name] = value.detach().clone(memory_format=torch.contiguous_format)
        else:
            left_out.append(name)
    if not tensors:
        return {"failed": "it holds no tensors"}
    save_file(tensors, target)
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
    return str(error).partition("\n")[0][:300]


if __name__ == "__main__":
    main()
