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
_MOST_TRIED_ELEMENTS = 1 << 22  # where a length was a guess, what takes all memory says nothing


_NO_MEMORY: Final = ("Failed to allocate memory", "bad_alloc", "Cannot allocate memory")
"""How onnxruntime says that memory ran out: of that it makes no error of its own."""

_LENGTHS: Final = (1, 32, 224)
"""What axes without a length are tried with: one, what small filters take, and a photograph."""


def try_onnx(path: Path) -> str:
    """Run the model once; return what people should know of its outputs, if anything.

    Whatever else is raised is this device's, and says nothing about the model.

    Raises:
        FailedTrialError: it is no model, or has operators that are not implemented, or does not run
            on inputs whose shapes it declares, or an output is missing or not a number.
        NotTriedError: it takes an input that cannot be made up, or no length that was tried for
            the axes that have none.
        MemoryError: it takes more memory than there is.
        OSError: its file cannot be read.
    """
    forbid_telemetry()
    with path.open("rb"):  # onnxruntime calls a file that it cannot read no model
        pass
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except _blamed_on_models() as error:
        _require_memory(error)
        raise FailedTrialError(f"onnxruntime cannot load it: {error}") from error
    outputs = _run(session)
    infinite = [name for name, output in outputs.items() if _is_infinite(name, output)]
    return f"infinite values in {', '.join(infinite)}" if infinite else ""


def _run(session: Any) -> dict[str, Any]:
    """Return a model's outputs by their names. Raises as `try_onnx` does."""
    inputs = [(each.name, each.type, each.shape) for each in session.get_inputs()]
    names = [each.name for each in session.get_outputs()]
    error: Exception | None = None
    fed: list[list[tuple[int, ...]]] = []
    for length in _LENGTHS:
        feeds = {name: made_up(name, kind, shape, length) for name, kind, shape in inputs}
        shapes = [each.shape for each in feeds.values()]
        if shapes in fed:
            break
        fed.append(shapes)
        try:
            return dict(zip(names, session.run(names, feeds), strict=True))
        except _blamed_on_models() as refusal:
            error = refusal
    if len(fed) == 1:
        _require_memory(error)
        raise FailedTrialError(f"onnxruntime cannot run it: {error}") from error
    tried = ", ".join(map(str, _LENGTHS))
    raise NotTriedError(
        f"it runs with none of {tried} for the axes that have no length: {error}"
    ) from error


def _blamed_on_models() -> tuple[type[Exception], ...]:
    """Return the errors by which onnxruntime refuses a model, or what a model does.

    They have no class in common. The others speak of a file, a provider, or a device.
    """
    from onnxruntime.capi import onnxruntime_pybind11_state as native

    return (
        native.Fail,
        native.InvalidArgument,
        native.InvalidGraph,
        native.InvalidProtobuf,
        native.NotImplemented,
        native.RuntimeException,
    )


def _require_memory(error: Exception | None) -> None:
    """Return unless memory ran out.

    Raises:
        MemoryError: it did.
    """
    if any(sign in str(error) for sign in _NO_MEMORY):
        raise MemoryError from error


def made_up(name: str, kind: str, shape: list[Any], length: int = 1) -> Any:
    """Return an input: the same one every time.

    Args:
        name: of the input; one that is a mask is all ones, for it would hide everything else.
        kind: as onnxruntime names it, such as `tensor(float)`.
        shape: a number, or a name, or None for each axis; see `axis_length`.
        length: of axes without one, but for the first, which is mostly the batch and stays 1.

    Raises:
        NotTriedError: it is no tensor of numbers or texts, or far too large to make up.
    """
    said = _TENSOR.fullmatch(kind)
    dtype = None if said is None else _DTYPES.get(said[1])
    lengths = [axis_length(each, length if place else 1) for place, each in enumerate(shape)]
    if dtype is None:
        raise NotTriedError(f"input {name!r} is a {kind}, which cannot be made up")
    most = _MOST_ELEMENTS if length == 1 else _MOST_TRIED_ELEMENTS
    if np.prod(lengths, dtype=np.float64) > most:
        raise NotTriedError(f"input {name!r} is too large to make up: {lengths}")
    if dtype is np.object_:
        return np.full(lengths, "a", dtype)
    is_floating = np.issubdtype(dtype, np.floating)
    return np.full(lengths, 0.5 if is_floating else "mask" in name.lower(), dtype)


def axis_length(axis: int | str | None, length: int = 1) -> int:
    """Return how long an axis of an input is made.

    Axes without a length are `length` long. What exporters of language models call `past…` is what
    was said before, which is nothing; sums of names, such as for masks, follow from their parts.

    >>> [axis_length(axis) for axis in (28, "batch", None, "past_length", "past_length + 1")]
    [28, 1, 1, 0, 1]
    >>> [axis_length(axis, 32) for axis in (28, "height", None, "past_length", "past_length + 1")]
    [28, 32, 32, 0, 1]
    """
    if isinstance(axis, int):
        return axis if axis >= 0 else length
    return sum(_part_length(part.strip(), length) for part in (axis or "").split("+"))


def _part_length(part: str, length: int) -> int:
    if part.isascii() and part.isdigit():
        return int(part)
    return 0 if part.startswith("past") else length


def _is_infinite(name: str, output: Any) -> bool:
    """Tell whether an output has infinite values, which masks of scores have on purpose.

    Raises:
        FailedTrialError: it is missing, or has values that are not numbers.
    """
    if output is None:
        raise FailedTrialError(f"output {name!r} is missing")
    floats = [each for each in _arrays(output) if np.issubdtype(each.dtype, np.floating)]
    if any(bool(np.isnan(each).any()) for each in floats):
        raise FailedTrialError(f"output {name!r} has values that are not numbers")
    return any(bool(np.isinf(each).any()) for each in floats)


def _arrays(output: Any) -> Iterator[Any]:
    """Yield the arrays of an output: itself, or those of a sequence or of a map."""
    if isinstance(output, dict):
        output = list(output.values())
    if isinstance(output, list):
        for each in output:
            yield from _arrays(each)
    else:
        yield np.asarray(output)
