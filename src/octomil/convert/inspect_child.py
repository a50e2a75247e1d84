"""The sandbox's child that looks through a file: `python -I -m … LIMITS PATH`.

It prints a line of JSON: the inspection, or why the file is refused. A file that takes more memory
or processor time than it is given is refused, too: it would take as much the next time.
"""

import json
import signal
import sys
from pathlib import Path
from typing import NoReturn

from octomil.convert.confinement import confine
from octomil.convert.inspection import RefusedFileError, inspect_file

_SHOWN_CHARS = 300


def main() -> None:
    """Confine this process, then look."""
    (path,) = confine(sys.argv)
    signal.signal(signal.SIGXCPU, _out_of_time)
    try:
        print(inspect_file(Path(path)).to_json())  # noqa: T201 - read by the parent
    except RefusedFileError as error:
        print(json.dumps({"refused": str(error)}))  # noqa: T201 - read by the parent
    except MemoryError:
        print(json.dumps({"refused": "it takes too much memory"}))  # noqa: T201 - likewise
    except OSError:
        raise  # this machine's trouble, and no answer
    except Exception as error:  # noqa: BLE001 - whatever the reader trips over is in the file
        why = f"its reader stumbled over it: {type(error).__name__}: {error}"
        print(json.dumps({"refused": why[:_SHOWN_CHARS]}))  # noqa: T201 - likewise


def _out_of_time(_number: int, _frame: object) -> NoReturn:
    raise RefusedFileError("it takes too long to look through")


if __name__ == "__main__":
    main()
