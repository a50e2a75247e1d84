"""Small ONNX models that run, written byte by byte: one node, float32 in and out."""

import struct
from collections.abc import Sequence

from support.model_files import varint

_FLOAT = 1


def runnable_onnx(
    operator: str = "Abs",
    axes: Sequence[int | str] = ("batch", 3),
    *,
    element: int = _FLOAT,
    kernel: int | None = None,
) -> bytes:
    """A model `y = operator(x)`, or what comes of several in a row.

    Args:
        operator: one of ONNX' operators that takes one tensor and gives one of the same shape, such
            as `Abs`; `Acosh` gives no numbers for what is less than 1, and `Floor Log` infinite
            ones. Several are told apart by spaces.
        axes: of x: a length, or a name for one that is known only when it runs.
        element: the type of x, as ONNX numbers them.
        kernel: for `MaxPool`: its height and width, below which no image may be.
    """
    operators = operator.split()
    names = [b"x", *(b"y%d" % place for place in range(1, len(operators))), b"y"]
    attribute = b"" if kernel is None else _field(5, _pair("kernel_shape", kernel))
    nodes = b"".join(
        _field(1, _field(1, before) + _field(2, after) + _field(4, each.encode()) + attribute)
        for each, before, after in zip(operators, names[:-1], names[1:], strict=True)
    )
    x, y = _value("x", axes, element), _value("y", axes, element)
    graph = nodes + _field(2, b"g") + _field(11, x) + _field(12, y)
    opset = _number(2, 17)
    return _number(1, 8) + _field(7, graph) + _field(8, opset)


def relabelled(model: bytes, label: str) -> bytes:
    """The same model under another version of its producer, and so of another digest.

    Of a field that is there twice, protobuf takes the last.
    """
    return model + _field(3, label.encode())


def numberless(model: bytes) -> bytes:
    """The same model, which also answers with the root of a negative number."""
    minus_one = struct.pack("<f", -1.0)
    known = _number(1, 1) + _number(2, _FLOAT) + _field(8, b"negative") + _field(9, minus_one)
    root = _field(1, b"negative") + _field(2, b"root") + _field(4, b"Sqrt")
    output = _field(1, b"root") + _field(2, _field(1, _number(1, _FLOAT)))
    return model + _field(7, _field(1, root) + _field(5, known) + _field(12, output))


def heavier(model: bytes, ballast_bytes: int) -> bytes:
    """The same model, which also fills so much memory whenever it is loaded and run.

    Protobuf adds up the lists of two graphs: one more input that is known, two nodes, one output.
    """
    int8, int64 = 3, 7
    size = (
        _number(1, 1)
        + _number(2, int64)
        + _field(8, b"ballast_bytes")
        + _field(9, ballast_bytes.to_bytes(8, "little"))
    )
    one = _number(1, 1) + _number(2, int8) + _field(9, b"\x01")
    value = _field(1, b"value") + _field(5, one) + _number(20, 4)
    fill = (
        _field(1, b"ballast_bytes")
        + _field(2, b"ballast")
        + _field(4, b"ConstantOfShape")
        + _field(5, value)
    )
    most = _field(1, b"ballast") + _field(2, b"ballast_most") + _field(4, b"ReduceMax")
    output = _field(1, b"ballast_most") + _field(2, _field(1, _number(1, int8)))
    graph = _field(1, fill) + _field(1, most) + _field(5, size) + _field(12, output)
    return model + _field(7, graph)


def _pair(name: str, number: int) -> bytes:
    """An attribute that is the same number twice."""
    integers = 7
    return _field(1, name.encode()) + _number(8, number) * 2 + _number(20, integers)


def _value(name: str, axes: Sequence[int | str], element: int) -> bytes:
    lengths = b"".join(
        _field(1, _number(1, axis) if isinstance(axis, int) else _field(2, axis.encode()))
        for axis in axes
    )
    tensor = _number(1, element) + _field(2, lengths)
    return _field(1, name.encode()) + _field(2, _field(1, tensor))


def _field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)
