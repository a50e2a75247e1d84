"""A hash chain over records: each digest covers its record and the digest before it.

Pure: the file of the audit log uses it, and so can rows of a database.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

DIGEST_BYTES: Final = 32
GENESIS: Final = bytes(DIGEST_BYTES)
"""What the first record of a chain has before it."""

_DOMAIN = b"epochly audit chain 1\x00"
_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
)


class RecordError(ValueError):
    """A line is not a record of a chain; the message says in what way."""


def canonical_json(record: Mapping[str, Any]) -> bytes:
    """Return the one JSON text of a record: sorted keys, no white space, ASCII.

    Raises:
        ValueError: a number is not finite.
        TypeError: a value has no JSON form.
    """
    return _ENCODER.encode(record).encode("ascii")


def chain_digest(previous: bytes, record: Mapping[str, Any], *, key: bytes | None = None) -> bytes:
    """Return the digest of a record that follows another.

    SHA-256, or HMAC-SHA256 under `key`, over a domain name, the digest before (32 bytes), the
    length of the record's canonical JSON (8 bytes, big endian) and that text.

    Args:
        previous: the digest of the record before, :data:`GENESIS` for the first.
        record: JSON values under text keys.
        key: 32 bytes that whoever may write the chain knows; None for a chain without a key.

    Raises:
        ValueError: `previous` is not 32 bytes long, or the record holds a number that is not
            finite.
        TypeError: the record holds a value that has no JSON form.

    Example:
        >>> first = chain_digest(GENESIS, {"sequence": 1})
        >>> first == chain_digest(GENESIS, {"sequence": 2})
        False
    """
    return _digest(previous, canonical_json(record), key)


def _digest(previous: bytes, text: bytes, key: bytes | None) -> bytes:
    if len(previous) != DIGEST_BYTES:
        raise ValueError(f"a digest is {DIGEST_BYTES} bytes, got {len(previous)}")
    message = _DOMAIN + previous + len(text).to_bytes(8, "big") + text
    if key is None:
        return hashlib.sha256(message).digest()
    return hmac.digest(key, message, hashlib.sha256)


@dataclass(frozen=True, slots=True)
class Link:
    """A record in its place in the chain.

    Attributes:
        sequence: its number, from 1.
        entry: the canonical JSON of what was recorded.
        previous: the digest of the record before.
        digest: the record's own, over `{"entry": …, "sequence": …}`.
    """

    sequence: int
    entry: bytes
    previous: bytes
    digest: bytes

    @classmethod
    def after(cls, sequence: int, digest: bytes, entry: bytes, key: bytes | None) -> "Link":
        """Chain an entry to the record of that number and digest."""
        following = sequence + 1
        return cls(following, entry, digest, _digest(digest, _covered(entry, following), key))

    def check_follows(self, sequence: int, digest: bytes, key: bytes | None) -> None:
        """Return if this record is whole and follows the one of that number and digest.

        Raises:
            RecordError: it does not; the message says whether it was edited, or others were
                removed, inserted or moved before it.
        """
        expected = _digest(self.previous, _covered(self.entry, self.sequence), key)
        if not hmac.compare_digest(expected, self.digest):
            raise RecordError("was edited: its digest is not that of its content")
        if self.sequence != sequence + 1:
            raise RecordError(
                f"is number {self.sequence} where {sequence + 1} belongs: a record was removed, "
                "inserted or moved"
            )
        if self.previous != digest:
            raise RecordError("does not follow the record before it: that one was replaced")

    def line(self) -> bytes:
        """Return the record as one line of canonical JSON, line feed included."""
        return b'{"digest":"%b","entry":%b,"previous":"%b","sequence":%d}\n' % (
            self.digest.hex().encode(),
            self.entry,
            self.previous.hex().encode(),
            self.sequence,
        )


def _covered(entry: bytes, sequence: int) -> bytes:
    return b'{"entry":%b,"sequence":%d}' % (entry, sequence)


def parse_line(line: bytes) -> Link:
    """Read what :meth:`Link.line` wrote; the digest is not judged.

    Raises:
        RecordError: the line is not exactly what that record would be written as.
    """
    if not line.endswith(b"\n"):
        raise RecordError("is torn: its line has no end")
    try:
        fields = json.loads(line)
        link = Link(
            int(fields["sequence"]),
            canonical_json(fields["entry"]),
            bytes.fromhex(fields["previous"]),
            bytes.fromhex(fields["digest"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RecordError("is not a record of this log") from None
    if link.line() != line or len(link.previous) != DIGEST_BYTES:
        raise RecordError("is not written the way this log writes")
    return link
