"""The encryption key: where it comes from, and keys for single purposes made from it.

A source gives 32 bytes of key material. Nobody uses them as they are: :func:`derive_key` makes
one key for each purpose (a cache tier, the audit log's seal), so that what one of them reveals
helps nobody against another.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from epochly.errors import ConfigurationError, KeyUnavailableError
from epochly.inference.config.environment import ENVIRONMENT
from epochly.inference.config.variables import ENCRYPTION_KEY, ENCRYPTION_KEY_FILE

KEY_BYTES: Final = 32

_HEX = re.compile(r"[0-9a-fA-F]{64}")


class KeySource(Protocol):
    """Where the key material comes from."""

    def load(self) -> bytes:
        """Return the 32 bytes of key material.

        Raises:
            KeyUnavailableError: it cannot be had, or is not a key; the message names the next
                step and never the material.
        """
        ...


class EnvironmentKey:
    """The key in `EPOCHLY_ENCRYPTION_KEY`, as base64 or hexadecimal text.

    Args:
        environ: the environment.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def load(self) -> bytes:
        """Read the variable; raises what :meth:`KeySource.load` raises."""
        text = ENCRYPTION_KEY.read(self._environ)
        if not text:
            raise KeyUnavailableError(
                f"{ENCRYPTION_KEY.name} is not set; set it to 32 random bytes as base64 or "
                "hexadecimal, such as the output of `openssl rand -base64 32`"
            )
        return parse_key(text, ENCRYPTION_KEY.name)


class FileKey:
    """The key in a file that nobody but its owner can read: 32 bytes, or the text of them.

    Args:
        path: the file; `~` is the home folder.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path).expanduser()

    def load(self) -> bytes:
        """Read the file; raises what :meth:`KeySource.load` raises."""
        try:
            # Opened before it is judged, so that nobody can swap the file in between.
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as err:
            raise KeyUnavailableError(
                f"the key file {self._path} cannot be read: {err.strerror}"
            ) from err
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise KeyUnavailableError(f"the key file {self._path} is not a regular file")
            if status.st_uid not in (os.geteuid(), 0):
                raise KeyUnavailableError(
                    f"the key file {self._path} belongs to user {status.st_uid}; it must belong to "
                    "whom this process runs as, or to root"
                )
            if status.st_mode & 0o077:
                raise KeyUnavailableError(
                    f"the key file {self._path} is open to others (mode "
                    f"{stat.S_IMODE(status.st_mode):04o}); run chmod 600 on it and replace the key"
                )
            material = file.read(1024)
        if len(material) == KEY_BYTES:
            return material
        return parse_key(material.decode("utf-8", "replace"), f"the key file {self._path}")


def parse_key(text: str, origin: str) -> bytes:
    """Read 32 bytes of key material from base64 (either alphabet) or hexadecimal text.

    Args:
        text: the text; white space around it is ignored.
        origin: where it came from, as the start of a message.

    Raises:
        KeyUnavailableError: the text is neither, or is not 32 bytes long.
    """
    stripped = text.strip()
    if _HEX.fullmatch(stripped):
        return bytes.fromhex(stripped)
    padded = stripped.rstrip("=") + "=" * (-len(stripped.rstrip("=")) % 4)
    try:
        material = base64.b64decode(padded.translate({ord("-"): "+", ord("_"): "/"}), validate=True)
    except (binascii.Error, ValueError):
        material = b""
    if len(material) != KEY_BYTES:
        raise KeyUnavailableError(
            f"{origin} does not hold 32 bytes as base64 or hexadecimal; make such a key with "
            "`openssl rand -base64 32`"
        )
    return material


def derivation_input(purpose: str) -> bytes:
    """Return what the pseudo-random function reads to make the key for a purpose.

    One block of NIST SP 800-108r1's counter mode: `[1]_32 || label || 0x00 || context || [L]_32`
    with the label `epochly`, the purpose as context and L = 256 bits.
    """
    counter, bits = (1).to_bytes(4, "big"), (KEY_BYTES * 8).to_bytes(4, "big")
    return counter + b"epochly\x00" + purpose.encode() + bits


def derive_key(material: bytes, purpose: str) -> bytes:
    """Make the 32-byte key for one purpose (NIST SP 800-108r1, counter mode, HMAC-SHA256).

    Args:
        material: 32 bytes from a source.
        purpose: a fixed name, such as `"audit"`.

    Raises:
        ConfigurationError: the material is not 32 bytes long.
    """
    if len(material) != KEY_BYTES:
        raise ConfigurationError(f"key material must be 32 bytes, got {len(material)}")
    return hmac.digest(material, derivation_input(purpose), hashlib.sha256)


def _environment_source(environ: Mapping[str, str]) -> KeySource:
    return EnvironmentKey(environ)


def _file_source(environ: Mapping[str, str]) -> KeySource:
    return FileKey(ENCRYPTION_KEY_FILE.read(environ))


def _hsm_source(environ: Mapping[str, str]) -> KeySource:
    from epochly.inference.privacy.hsm import HsmKey

    return HsmKey.from_env(environ)


SOURCES: Final[Mapping[str, Callable[[Mapping[str, str]], KeySource]]] = {
    "env": _environment_source,
    "file": _file_source,
    "hsm": _hsm_source,
}
"""`encryption_key_source` to what opens it. A new source is one function and one line here."""


def key_source(name: str, environ: Mapping[str, str] = ENVIRONMENT) -> KeySource:
    """Return the documented source of that name: `"env"`, `"file"` or `"hsm"`.

    Args:
        name: the value of `encryption_key_source`.
        environ: the environment, for what the source needs besides.

    Raises:
        ConfigurationError: there is no source of that name.
        KeyUnavailableError: the source lacks a setting of its own.
    """
    if name not in SOURCES:
        raise ConfigurationError(
            f"encryption_key_source must be one of {', '.join(SOURCES)}, got {name!r}"
        )
    return SOURCES[name](environ)


def key_is_present(source: KeySource) -> bool:
    """Tell whether a source gives a key now, for a start-up check."""
    try:
        source.load()
    except KeyUnavailableError:
        return False
    return True
