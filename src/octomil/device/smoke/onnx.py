"""Trying an ONNX model: a session is made, and run once on inputs made from what it declares."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from octomil.config import forbid_telemetry
from octomil.device.smoke.trial import FailedTrialError, NotTriedError

_DTYPES: Final[Mapping[str, Any]] = {
    "float": np.float32,
    "double": np.float64,
    "float16": np.float16,
    "bool": np.bool_,
    "string": np.object_,
    **{
        f"{sign}int{bits}": np.dtype(f"{sign}int{bits}")
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    },
}
"""Of the element types of tensors, those that onnxruntime takes from numpy."""
_TENSOR = re.compile(r"tensor\((\w+)\)")
_MOST_ELEMENTS = 1 << 28


def try_onnx(path: Path) -> None:
    """Run the model once.

    Raises:
        FailedTrialError: it cannot be loaded or run, or an output is missing or not finite.
        NotTriedError: it takes an input that cannot be made up.
    """
    forbid_telemetry()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise FailedTrialError(f"onnxruntime cannot load it: {error}") from error
    feeds = {each.name: made_up(each.name, each.type, each.shape) for each in session.get_inputs()}
    names = [each.name for each in session.get_outputs()]
    try:
        outputs = session.run(names, feeds)
    except Exception as error:
        raise FailedTrialError(f"onnxruntime cannot run it: {error}") from error
    for name, output in zip(names, outputs, strict=True):
        _require_finite(name, output)


def made_up(name: str, kind: str, shape: list[Any]) -> Any:
    """Return an input: the same one every time.

    Args:
        name: of the input; one that is a mask is all ones, for it would hide everything else.
        kind: as onnxruntime names it, such as `tensor(float)`.
        shape: a number, or a name, or None for each axis; see `axis_length`.

    Raises:
        NotTriedError: it is no tensor of numbers or texts, or far too large to make up.
    """
    said = _TENSOR.fullmatch(kind)
    dtype = None if said is None else _DTYPES.get(said[1])
    lengths = [axis_length(each) for each in shape]
    if dtype is None:
        raise NotTriedError(f"input {name!r} is a {kind}, which cannot be made up")
    if np.prod(lengths, dtype=np.float64) > _MOST_ELEMENTS:
        raise NotTriedError(f"input {name!r} is too large to make up: {lengths}")
    if dtype is np.object_:
        return np.full(lengths, "a", dtype)
    is_floating = np.issubdtype(dtype, np.floating)
    return np.full(lengths, 0.5 if is_floating else "mask" in name.lower(), dtype)


def axis_length(axis: int | str | None) -> int:
    """Return how long an axis of an input is made.

    Axes without a length are 1 long. What exporters of language models call `past…` is what was
    said before, which is nothing; sums of names, such as for masks, follow from their parts.

    >>> [axis_length(axis) for axis in (28, "batch", None, "past_length", "past_length + 1")]
    [28, 1, 1, 0, 1]
    """
    if isinstance(axis, int):
        return axis if axis >= 0 else 1
    return sum(_part_length(part.strip()) for part in (axis or "").split("+"))


def _part_length(part: str) -> int:
    if part.isascii() and part.isdigit():
        return int(part)
    return 0 if part.startswith("past") else 1


def _require_finite(name: str, output: Any) -> None:
    if output is None:
        raise FailedTrialError(f"output {name!r} is missing")
    for array in _arrays(output):
        if np.issubdtype(array.dtype, np.floating) and not bool(np.isfinite(array).all()):
            raise FailedTrialError(f"output {name!r} has numbers that are not finite")


def _arrays(output: Any) -> Iterator[Any]:
    """Yield the arrays of an output: itself, or those of a sequence or of a map."""
    if isinstance(output, dict):
        output = list(output.values())
    if isinstance(output, list):
        for each in output:
            yield from _arrays(each)
    else:
        yield np.asarray(output)
