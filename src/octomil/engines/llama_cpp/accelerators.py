"""What llama.cpp runs models on here, as its build and the machine's drivers allow."""

from typing import Literal


def accelerator() -> Literal["gpu", "cpu"]:
    """Return where the workers put a model's layers: on a GPU if their llama.cpp sees one."""
    from xllamacpp import get_device_info, ggml_backend_dev_type

    gpus = (
        ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_GPU,
        ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_IGPU,
    )
    return "gpu" if any(device["type"] in gpus for device in get_device_info()) else "cpu"
