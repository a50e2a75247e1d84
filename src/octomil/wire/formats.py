"""The names of formats, for the OpenAPI document; `convert.formats` tells files apart."""

from typing import Annotated, Final

from annotated_types import MaxLen, MinLen

from octomil.wire.texts import Matches, OneOf

FORMAT_NAMES: Final = (
    "safetensors",
    "onnx",
    "tflite",
    "coreml",
    "gguf",
    "numpy",
    "pytorch",
    "torchscript",
    "torch_export",
    "onnx_data",
)
"""What a file of a version can be."""

Format = Annotated[str, MinLen(1), MaxLen(32), Matches(r"^[a-z0-9_.-]*$")]
KnownFormat = Annotated[Format, OneOf(FORMAT_NAMES)]
