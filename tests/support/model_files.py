"""Small model files of every kind, made by hand, and pickles that would do harm."""

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LEGACY_HEAD = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


def safetensors_file(**tensors: list[float]) -> bytes:
    """A safetensors file of float32 vectors."""
    header, data = {}, b""
    for name, values in tensors.items():
        packed = struct.pack(f"<{len(values)}f", *values)
        span = [len(data), len(data) + len(packed)]
        header[name] = {"dtype": "F32", "shape": [len(values)], "data_offsets": span}
        data += packed
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def onnx_file(graph: bytes = b"\x12\x04mlp1") -> bytes:
    """A model with an empty graph: ir_version 8, a producer, the graph, one opset."""
    opset = b"\x10\x11"
    return (
        b"\x08\x08"
         b"\x12\x04test"
         b"\x3a" + varint(len(graph)) + graph
        + b"\x42" + varint(len(opset)) + opset
    )  # fmt: skip


def coreml_file() -> bytes:
    """A Core ML model: specification 4, a description, a neural network (field 500)."""
    return b"\x08\x04" + b"\x12\x02\x0a\x00" + varint(500 << 3 | 2) + b"\x00"


def tflite_file() -> bytes:
    return struct.pack("<I", 28) + b"TFL3" + bytes(64)


def gguf_file() -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 0)


def npy_file(descr: str = "<f4", data: bytes = bytes(8)) -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': (2,), }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def varint(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def zip_file(members: Mapping[str, bytes], *, compression: int = zipfile.ZIP_STORED) -> bytes:
    """The same members give the same bytes: the archive's times are not the clock's."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return out.getvalue()


def mlpackage_file() -> bytes:
    return zip_file(
        {
            "mlp.mlpackage/Manifest.json": b"{}",
            "mlp.mlpackage/Data/com.apple.CoreML/model.mlmodel": coreml_file(),
        }
    )


def state_dict_pickle(**tensors: list[float]) -> bytes:
    """What `torch.save` writes about an OrderedDict of float32 vectors, without torch."""
    out = b"\x80\x02ccollections\nOrderedDict\n)R("
    for number, (name, values) in enumerate(tensors.items()):
        size = bytes([len(values)])
        storage = (
            b"(" + _text("storage") + b"ctorch\nFloatStorage\n" + _text(str(number)) + _text("cpu")
            + b"K" + size + b"tQ"
        )  # fmt: skip
        out += _text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage
        out += b"K\x00" + b"K" + size + b"\x85" + b"K\x01\x85" + b"\x89"
        out += b"ccollections\nOrderedDict\n)RtR"
    return out + b"u."


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def torch_file(pickled: bytes | None = None, **tensors: list[float]) -> bytes:
    """What `torch.save` writes: an archive of a pickle and the tensors' bytes."""
    tensors = tensors or {"weight": [1.0, 2.0]}
    data = {
        f"model/data/{number}": struct.pack(f"<{len(values)}f", *values)
        for number, values in enumerate(tensors.values())
    }
    return zip_file(
        {
            "model/data.pkl": pickled or state_dict_pickle(**tensors),
            "model/byteorder": b"little",
            **data,
            "model/version": b"3\n",
        }
    )


def torchscript_file(pickled: bytes = b"\x80\x02N.") -> bytes:
    return zip_file(
        {
            "net/data.pkl": b"\x80\x02c__torch__\nNet\n)\x81}b.",
            "net/code/__torch__.py": b"class Net(Module):\n  pass\n",
            "net/constants.pkl": pickled,
            "net/version": b"3\n",
        }
    )


def torch_export_file() -> bytes:
    return zip_file(
        {
            "net/archive_format": b"pt2",
            "net/models/model.json": b"{}",
            "net/data/weights/weight_0": struct.pack("<2f", 1, 2),
        }
    )


def legacy_torch_file(pickled: bytes | None = None) -> bytes:
    """What `torch.save` wrote before its files were archives: five pickles, then the bytes."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    pickles = (1001, system, None, [])
    protocol, about, _, keys = (pickle.dumps(each, protocol=2) for each in pickles)
    return LEGACY_HEAD + protocol + about + (pickled or state_dict_pickle(w=[1.0])) + keys


class _Calls:
    """Pickled, a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> Any:
        return self._call


def exploits(canary: Path) -> dict[str, bytes]:
    """Pickles that make a file when they are loaded, each in another way."""
    command, script = f"touch {canary}", f"open({str(canary)!r}, 'w').close()"
    system = pickle.dumps(_Calls(os.system, command), protocol=2)
    posix, name = b"\x8c\x05posix", b"\x8c\x06system"
    call = b"X" + struct.pack("<I", len(command)) + command.encode() + b"\x85R."
    return {
        "os.system": system,
        "os.system, protocol 4": pickle.dumps(_Calls(os.system, command), protocol=4),
        "builtins.eval": pickle.dumps(_Calls(eval, script), protocol=2),
        "builtins.exec, protocol 5": pickle.dumps(_Calls(exec, script), protocol=5),
        "a name from the memo": b"\x80\x04" + posix + b"\x940" + name + b"\x940h\x00h\x01\x93"
        + call,
        "a name between others": b"\x80\x04" + posix + name + b"K\x010\x93" + call,
        "INST": b"(" + b"X" + struct.pack("<I", len(command)) + command.encode()
        + b"iposix\nsystem\n.",
        "getattr": pickle.dumps(_Calls(getattr, "x", "upper"), protocol=2),
        "copyreg's extensions": b"\x80\x02\x82\x01" + call,
        "through another module": b"\x80\x04\x8c\x0btorch.utils\x8c\x09os.system\x93" + call,
        "a name put together": b"\x80\x04" + posix + b"N\x93" + call,
        "twice removed": pickle.dumps(_Calls(pickle.loads, system), protocol=2),
    }  # fmt: skip


LOADABLE = ("os.system", "os.system, protocol 4", "builtins.eval", "builtins.exec, protocol 5",
            "a name from the memo", "a name between others", "INST", "twice removed")  # fmt: skip
"""Those that any unpickler would fall for."""
