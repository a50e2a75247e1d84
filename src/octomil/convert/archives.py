"""Zip archives of others: opened only if nothing about them is a trick."""

import stat
import zipfile
from collections import Counter
from typing import BinaryIO

MAX_MEMBERS = 200_000
MAX_RATIO = 200
"""So many times larger than the archive may its members be altogether; weights hardly shrink."""

_ENCRYPTED = 0x1
_COMPRESSIONS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


class TrickyArchiveError(ValueError):
    """An archive that is broken, or made to harm whoever unpacks it."""


def open_archive(file: BinaryIO, size: int) -> zipfile.ZipFile:
    """Open an archive after a look at its directory.

    Args:
        file: seekable.
        size: bytes.

    Raises:
        TrickyArchiveError: it is broken, has members that would land outside of a folder, that are
            links, encrypted, compressed otherwise than by deflate, twice there, laid over each
            other, or far larger unpacked.
    """
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError) as error:
        raise TrickyArchiveError(f"the archive is broken: {error}") from error
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise TrickyArchiveError(f"the archive has {len(members)} members")
    for member in members:
        _check_member(member)
    _check_unique([member.filename.casefold() for member in members])
    _check_sizes(members, size)
    return archive


def _check_member(member: zipfile.ZipInfo) -> None:
    name = member.orig_filename  # `filename` is cut off at a NUL already
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0] or "\0" in name:
        raise TrickyArchiveError(f"the archive's member {name!r} would land outside of its folder")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise TrickyArchiveError(f"the archive's member {name!r} is a link")
    if member.flag_bits & _ENCRYPTED:
        raise TrickyArchiveError(f"the archive's member {name!r} is encrypted")
    if member.compress_type not in _COMPRESSIONS:
        raise TrickyArchiveError(
            f"the archive's member {name!r} is compressed by something else than deflate, as no "
            "model file is"
        )


def _check_unique(names: list[str]) -> None:
    twice = next((name for name, times in Counter(names).items() if times > 1), None)
    if twice is not None:
        raise TrickyArchiveError(f"the archive's member {twice!r} is there twice")


def _check_sizes(members: list[zipfile.ZipInfo], size: int) -> None:
    end = 0
    for member in sorted(members, key=lambda each: each.header_offset):
        if member.header_offset < end:
            raise TrickyArchiveError(
                f"the archive's member {member.filename!r} lies over another one"
            )
        end = member.header_offset + member.compress_size
    unpacked = sum(member.file_size for member in members)
    if end > size or unpacked > MAX_RATIO * size:
        raise TrickyArchiveError(
            f"the archive's {size} bytes would become {unpacked}; at most {MAX_RATIO} times as "
            "many are taken"
        )
