"""What a model file is and what is in it: its format, the imports of its pickles, its faults.

It runs in the sandbox's child (`convert.inspect_child`), because a file can be made so that looking
at it costs as much memory or time as there is.
"""

import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Self

from octomil.convert.archives import TrickyArchiveError, open_archive
from octomil.convert.formats import (
    LEGACY_TORCH,
    NPY,
    Format,
    archive_format,
    is_archive,
    recognise_flat,
)
from octomil.convert.imports import sorted_imports
from octomil.convert.pickles import BrokenPickleError, imports_of

MAX_DEPTH = 3
"""Archives in archives: torch.export keeps its weights in one."""

_LEGACY_PICKLES = 5  # magic number, protocol, system, the object, the keys of its storages
_PICKLE_HEAD = re.compile(rb"\x80[\x02-\x05]")
_PICKLE_NAMES = (".pkl", ".pickle")
_OBJECT_DTYPE = re.compile(rb"""['"][<>|=]?O\d*['"]""")
_NPY_HEADER_BYTES = 1 << 16


class RefusedFileError(ValueError):
    """A file that is not taken; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What was found in a file.

    Attributes:
        format: what it is.
        has_pickles: whether it holds any, so that it is not to be loaded as it is.
        unknown_imports: names in its pickles that only its author's code explains.
    """

    format: Format
    has_pickles: bool = False
    unknown_imports: tuple[str, ...] = field(default=())

    def to_json(self) -> str:
        """Return it as a line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_object(cls, found: Mapping[str, Any]) -> Self:
        """Return what `to_json` wrote, read as JSON."""
        return cls(
            format=Format(found["format"]),
            has_pickles=bool(found["has_pickles"]),
            unknown_imports=tuple(map(str, found["unknown_imports"])),
        )


def inspect_file(path: Path) -> Inspection:
    """Look through a file without loading any of it.

    Raises:
        RefusedFileError: it is of no format that is taken, or holds what would do harm.
    """
    size = path.stat().st_size
    found = _Findings()
    with path.open("rb") as file:
        try:
            kind = _look(file, size, found, depth=0)
        except (BrokenPickleError, TrickyArchiveError) as error:
            raise RefusedFileError(str(error)) from error
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:  # found out while it was read
            raise RefusedFileError(f"the archive is broken: {error}") from error
    imports = sorted_imports(found.imports)
    if imports.harmful:
        listed = ", ".join(imports.harmful)
        raise RefusedFileError(f"its pickles would run code when they are loaded: {listed}")
    if kind is None:
        raise RefusedFileError(
            f"it is no model file that is known here; send one of {', '.join(Format)}"
        )
    return Inspection(format=kind, has_pickles=found.pickles > 0, unknown_imports=imports.unknown)


class _Findings:
    """What was come across so far."""

    def __init__(self) -> None:
        self.imports: set[tuple[str, str]] = set()
        self.pickles = 0

    def read(self, file: BinaryIO) -> None:
        """Read off a pickle at the file's position."""
        self.imports |= imports_of(file)
        self.pickles += 1


def _look(file: BinaryIO, size: int, found: _Findings, depth: int) -> Format | None:
    if is_archive(file):
        return _look_into_archive(file, size, found, depth)
    kind = recognise_flat(file, size)
    file.seek(0)
    if kind is Format.PYTORCH:
        _read_legacy(file, found)
    elif kind is Format.NUMPY:
        _refuse_objects(file.read(_NPY_HEADER_BYTES))
    elif kind is None and _PICKLE_HEAD.match(file.read(2)):
        file.seek(0)
        found.read(file)
    return kind


def _read_legacy(file: BinaryIO, found: _Findings) -> None:
    """Read off the pickles that a torch file of the old kind begins with."""
    if not file.read(len(LEGACY_TORCH)).startswith(LEGACY_TORCH[:16]):
        raise BrokenPickleError("its magic number is not torch's")
    file.seek(0)
    for _ in range(_LEGACY_PICKLES):
        found.read(file)


def _refuse_objects(header: bytes) -> None:
    """Raise if an array holds Python objects, which NumPy keeps as pickles.

    Raises:
        RefusedFileError: it does.
    """
    if _OBJECT_DTYPE.search(header.partition(b"\n")[0]):
        raise RefusedFileError(
            "it is an array of Python objects, which can be loaded by pickle only"
        )


def _look_into_archive(file: BinaryIO, size: int, found: _Findings, depth: int) -> Format | None:
    if depth >= MAX_DEPTH:
        raise TrickyArchiveError(f"archives lie more than {MAX_DEPTH} deep in each other")
    archive = open_archive(file, size)
    for member, content in _members(archive):
        _look_at_member(member, content, found, depth)
    return archive_format(frozenset(archive.namelist()))


def _members(archive: zipfile.ZipFile) -> Iterator[tuple[zipfile.ZipInfo, BinaryIO]]:
    for member in archive.infolist():
        if member.is_dir():
            continue
        try:
            with archive.open(member) as content:
                yield member, content  # type: ignore[misc]  # it reads and seeks as a file does
        except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError) as error:
            message = f"the archive's member {member.filename!r} is broken: {error}"
            raise TrickyArchiveError(message) from error


def _look_at_member(
    member: zipfile.ZipInfo, content: BinaryIO, found: _Findings, depth: int
) -> None:
    name = member.filename
    if name.endswith(_PICKLE_NAMES):
        found.read(content)
        return
    head = content.read(len(NPY))
    content.seek(0)
    if head.startswith(NPY):
        _refuse_objects(content.read(_NPY_HEADER_BYTES))
    elif is_archive(content):
        _look_into_archive(content, member.file_size, found, depth + 1)
    elif head.startswith(LEGACY_TORCH[:6]):
        content.seek(0)
        _read_legacy(content, found)
    elif _PICKLE_HEAD.match(head):
        content.seek(0)
        _read_if_pickle(content, found)


def _read_if_pickle(content: BinaryIO, found: _Findings) -> None:
    """Read off what may be a pickle, or a tensor that happens to begin like one."""
    try:
        found.read(content)
    except BrokenPickleError:
        return
