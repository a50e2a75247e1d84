"""Audit logs made, read and tampered with, file by file."""

from datetime import UTC, datetime
from pathlib import Path

from epochly.inference.privacy.audit.chain import canonical_json
from epochly.inference.privacy.audit.files import AuditFiles, log_files

DAY = datetime(2026, 5, 1, 12, tzinfo=UTC)
KEY = bytes(range(32))


def entries(*numbers: int) -> list[bytes]:
    return [canonical_json({"operation": "gate", "n": number}) for number in numbers]


def write_log(
    folder: Path, count: int, *, key: bytes | None = None, per_file: int | None = None
) -> None:
    """Write entries 1 to `count`, with at most `per_file` of them in a file."""
    limit = 1 if per_file is not None else 1 << 20
    files = AuditFiles(folder, key, max_file_bytes=limit)
    step = per_file or count
    for first in range(1, count + 1, step):
        files.commit(entries(*range(first, min(first + step, count + 1))), DAY)
    files.close()


def lines_of(folder: Path) -> list[bytes]:
    return [line for path in log_files(folder) for line in path.read_bytes().splitlines(True)]


def replace_lines(folder: Path, lines: list[bytes]) -> None:
    """Put other lines in place of the log's, and keep how many each file holds where possible."""
    files = log_files(folder)
    rest = list(lines)
    for path in files:
        held = len(path.read_bytes().splitlines())
        taken, rest = (rest, []) if path == files[-1] else (rest[:held], rest[held:])
        path.write_bytes(b"".join(taken))
