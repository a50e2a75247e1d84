"""The sandbox's child that looks through a file: `python -I -m … LIMITS PATH`.

It prints a line of JSON: the inspection, or why the file is refused.
"""

import json
import sys
from pathlib import Path

from octomil.convert.confinement import confine
from octomil.convert.inspection import RefusedFileError, inspect_file


def main() -> None:
    """Confine this process, then look."""
    (path,) = confine(sys.argv)
    try:
        print(inspect_file(Path(path)).to_json())  # noqa: T201 - read by the parent
    except RefusedFileError as error:
        print(json.dumps({"refused": str(error)}))  # noqa: T201 - read by the parent


if __name__ == "__main__":
    main()
