"""Machines that an engine needs."""

import platform
import sys

from octomil.errors import NoEngineError


def require_apple() -> None:
    """Check that this machine has the processor that MLX is made for.

    Raises:
        NoEngineError: it has another.
    """
    system, processor = sys.platform, platform.machine()
    if (system, processor) != ("darwin", "arm64"):
        raise NoEngineError(
            "the engine 'mlx_lm' runs on Apple silicon only, and this machine is "
            f"{system} on {processor}; leave `engine` out, or take 'llama_cpp' or 'transformers'"
        )
