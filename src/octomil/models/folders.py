"""A model in a folder as its makers publish it: configuration, tokenizer and safetensors."""

import json
import struct
from math import prod
from pathlib import Path
from typing import Any

from octomil.errors import InvalidModelFileError

CONFIG = "config.json"
WEIGHTS = "*.safetensors"
_TEMPLATE = "chat_template.jinja"
_TOKENIZER = "tokenizer_config.json"
_LARGEST_HEADER_BYTES = 100 * 2**20


def weights_of(folder: Path) -> list[Path]:
    """Return the weights in a folder.

    Raises:
        InvalidModelFileError: there are none, or what they need beside them is missing.
    """
    missing = [name for name in (CONFIG, _TOKENIZER) if not (folder / name).is_file()]
    weights = sorted(folder.glob(WEIGHTS))
    if missing or not weights:
        lacks = " and ".join([*missing, *([] if weights else [WEIGHTS])])
        raise InvalidModelFileError(f"the folder {folder} is no model: it has no {lacks}")
    return weights


def context_length(folder: Path) -> int | None:
    """Return for how many tokens a model was trained; None where it does not say.

    Raises:
        InvalidModelFileError: its configuration is damaged.
    """
    found = _read(folder / CONFIG).get("max_position_embeddings")
    return found if isinstance(found, int) and found > 0 else None


def has_chat_template(folder: Path) -> bool:
    """Tell whether a model has a prompt format for conversations.

    Raises:
        InvalidModelFileError: its tokenizer's configuration is damaged.
    """
    return (folder / _TEMPLATE).is_file() or bool(_read(folder / _TOKENIZER).get("chat_template"))


def parameter_count(weights: Path) -> int:
    """Return how many numbers a safetensors file holds, by its header.

    Raises:
        InvalidModelFileError: it is none.
    """
    with weights.open("rb") as file:
        length = file.read(8)
        size = struct.unpack("<Q", length)[0] if len(length) == 8 else _LARGEST_HEADER_BYTES
        if size >= _LARGEST_HEADER_BYTES:
            raise InvalidModelFileError(f"{weights} is no safetensors file")
        header = _parse(weights, file.read(size))
    try:
        return sum(
            prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__"
        )
    except (KeyError, TypeError) as error:
        raise InvalidModelFileError(f"{weights} is no safetensors file: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    return _parse(path, path.read_bytes())


def _parse(path: Path, text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidModelFileError(f"{path} is damaged: {error}") from error
    if not isinstance(found, dict):
        raise InvalidModelFileError(f"{path} is damaged: it holds no JSON object")
    return found
