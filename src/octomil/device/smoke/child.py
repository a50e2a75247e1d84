"""The process of a smoke test: `python -I -m … LIMITS FORMAT PATH`.

It prints a line of JSON: `{}`, a note, why the release failed, or why nobody here can tell.
Whatever happens to this process happens to nobody else.
"""

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from octomil.convert.confinement import confine
from octomil.device.smoke.trial import FailedTrialError, NotTriedError

_MILDNESS = 10
_FIRST_TO_DIE = "1000"


def main() -> None:
    """Confine this process, then try the file."""
    format_, path = confine(sys.argv)
    _stand_back()
    answer: dict[str, str] = {}
    try:
        note = trial_of(format_)(Path(path))
        answer = {"note": note} if note else {}
    except FailedTrialError as error:
        answer = {"failed": str(error)}
    except NotTriedError as error:
        answer = {"not_tried": str(error)}
    except ImportError as error:  # it is installed, and does not fit this machine
        answer = {"not_tried": f"its runtime cannot be imported: {error}"}
    except MemoryError:
        answer = {"failed": "it takes more memory than this device has"}
    print(json.dumps(answer))  # noqa: T201 - read by the parent


def trial_of(format_: str) -> Callable[[Path], str]:
    """Return what tries files of a format, and returns what people should know of one that passed.

    Raises:
        NotTriedError: nothing does.
    """
    if format_ == "onnx":
        from octomil.device.smoke.onnx import try_onnx

        return try_onnx
    if format_ == "gguf":
        from octomil.device.smoke.gguf import try_gguf

        return try_gguf
    if format_ == "safetensors":
        from octomil.device.smoke.safetensors import try_safetensors

        return try_safetensors
    raise NotTriedError(f"nothing tries files of the format {format_}")


def _stand_back() -> None:
    """Leave the processor to what runs already, and be the first to go where memory ends."""
    os.nice(_MILDNESS)
    with suppress(OSError):  # another system than Linux, or not allowed
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_DIE, encoding="ascii")


if __name__ == "__main__":
    main()
