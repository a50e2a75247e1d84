"""The head of an audit log: how far it reaches, kept beside it and sealed.

A chain by itself cannot tell that its last records were cut off. The head can: it is replaced
after each group of records has reached the disk, and before any of them is acknowledged.
"""

import hashlib
import hmac
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from epochly.inference.privacy.audit.chain import GENESIS, canonical_json

HEAD_NAME: Final = "head.json"

_DOMAIN = b"epochly audit head 1\x00"


class HeadError(ValueError):
    """A head is missing, damaged, or sealed with another key; the message says which."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last record of a log that was acknowledged.

    Attributes:
        sequence: its number; 0 for a log without records.
        digest: its digest, as hexadecimal text.
        file: the name of the file that it is in; empty for a log without files.
        offset: where it ends in that file, in bytes.
        keyed: whether the log's chain has a key.
    """

    sequence: int = 0
    digest: str = GENESIS.hex()
    file: str = ""
    offset: int = 0
    keyed: bool = False

    def sealed(self, key: bytes | None) -> bytes:
        """Return the head as a line of JSON with its seal."""
        fields: dict[str, Any] = asdict(self)
        return canonical_json(fields | {"seal": _seal(canonical_json(fields), key)}) + b"\n"


def _seal(text: bytes, key: bytes | None) -> str:
    if key is None:
        return hashlib.sha256(_DOMAIN + text).hexdigest()
    return hmac.new(key, _DOMAIN + text, hashlib.sha256).hexdigest()


def parse_head(data: bytes, key: bytes | None) -> Head:
    """Read a sealed head.

    Raises:
        HeadError: it is damaged, was edited, or is sealed with another key.
    """
    try:
        fields = json.loads(data)
        seal = fields.pop("seal")
        head = Head(**fields)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise HeadError("the head is damaged") from None
    if [type(value) for value in asdict(head).values()] != [int, str, str, int, bool]:
        raise HeadError("the head is damaged")
    if head.keyed and key is None:
        raise HeadError("the log has a key, and none was given")
    if key is not None and not head.keyed:
        raise HeadError("the log was begun without a key; a log with one needs a folder of its own")
    expected = _seal(canonical_json(fields), key)
    if not hmac.compare_digest(expected, str(seal)) or head.sealed(key) != data:
        raise HeadError("the head was edited, or the log has another key")
    return head


def read_head(folder: Path, key: bytes | None) -> Head | None:
    """Read a log's head; None where there is none.

    Raises:
        HeadError: what :func:`parse_head` raises.
        OSError: the file cannot be read.
    """
    try:
        data = (folder / HEAD_NAME).read_bytes()
    except FileNotFoundError:
        return None
    return parse_head(data, key)


def write_head(folder: Path, head: Head, key: bytes | None) -> None:
    """Replace a log's head so that a crash leaves the old one or the new one, whole.

    Raises:
        OSError: the disk refused.
    """
    temporary = folder / f"{HEAD_NAME}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
        file.write(head.sealed(key))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / HEAD_NAME)
