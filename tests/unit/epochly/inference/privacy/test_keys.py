import base64
import hashlib
import hmac
import os

import pytest

from epochly.errors import ConfigurationError, KeyUnavailableError
from epochly.inference.privacy.keys import (
    EnvironmentKey,
    FileKey,
    derive_key,
    key_is_present,
    key_source,
    parse_key,
)

KEY = bytes(range(224, 256))
VARIABLE = "EPOCHLY_ENCRYPTION_KEY"


@pytest.mark.parametrize(
    "text",
    [
        KEY.hex(),
        KEY.hex().upper(),
        base64.b64encode(KEY).decode(),
        base64.urlsafe_b64encode(KEY).decode().rstrip("="),
        f" {base64.b64encode(KEY).decode()}\n",
    ],
)
def test_a_key_is_read_from_base64_and_hexadecimal(text: str):
    assert parse_key(text, "it") == KEY
    assert key_source("env", {VARIABLE: text}).load() == KEY


@pytest.mark.parametrize(
    "text", [KEY.hex()[:-2], "é" * 44, base64.b64encode(KEY[1:]).decode(), "x"]
)
def test_what_is_no_key_is_refused_without_showing_it(text: str):
    with pytest.raises(KeyUnavailableError, match=f"{VARIABLE} does not hold 32 bytes") as refusal:
        EnvironmentKey({VARIABLE: text}).load()

    assert text not in str(refusal.value).removeprefix(VARIABLE) or len(text) == 1


def test_an_unset_variable_is_named():
    with pytest.raises(KeyUnavailableError, match=f"{VARIABLE} is not set"):
        EnvironmentKey({}).load()


def test_the_process_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(VARIABLE, KEY.hex())

    assert key_source("env").load() == KEY


@pytest.mark.parametrize("content", [KEY, KEY.hex().encode() + b"\n", base64.b64encode(KEY)])
def test_a_private_file_is_read(tmp_path, content: bytes):
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)

    assert key_source("file", {"EPOCHLY_ENCRYPTION_KEY_FILE": str(path)}).load() == KEY


def test_the_default_file_lies_in_the_home_folder(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".epochly").mkdir()
    path = tmp_path / ".epochly/encryption.key"
    path.write_bytes(KEY)
    path.chmod(0o400)

    assert key_source("file", {}).load() == KEY


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610, 0o601])
def test_a_file_open_to_others_is_refused(tmp_path, mode: int):
    path = tmp_path / "key"
    path.write_bytes(KEY)
    path.chmod(mode)

    with pytest.raises(KeyUnavailableError, match=f"open to others .mode {mode:04o}"):
        FileKey(path).load()


def test_what_is_no_key_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    short = tmp_path / "short"
    short.write_bytes(KEY[1:])
    short.chmod(0o600)

    with pytest.raises(KeyUnavailableError, match="not a regular file"):
        FileKey(tmp_path / "pipe").load()
    with pytest.raises(KeyUnavailableError, match="does not hold 32 bytes"):
        FileKey(short).load()
    with pytest.raises(KeyUnavailableError, match="No such file"):
        FileKey(tmp_path / "absent").load()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_refused(tmp_path):
    path = tmp_path / "key"
    path.write_bytes(KEY)
    path.chmod(0o600)
    os.chown(path, 12345, -1)

    with pytest.raises(KeyUnavailableError, match="belongs to user 12345"):
        FileKey(path).load()


def test_an_unknown_source_is_refused():
    with pytest.raises(ConfigurationError, match="env, file, hsm"):
        key_source("vault")


def test_presence_is_told_without_raising():
    assert key_is_present(EnvironmentKey({VARIABLE: KEY.hex()})) is True
    assert key_is_present(EnvironmentKey({})) is False


def test_a_purpose_has_its_own_key_as_sp_800_108_says():
    # One block of counter mode: [i]_32 || Label || 0x00 || Context || [L]_32.
    message = b"\0\0\0\1" + b"epochly" + b"\0" + b"audit" + b"\0\0\1\0"

    assert derive_key(KEY, "audit") == hmac.new(KEY, message, hashlib.sha256).digest()
    assert derive_key(KEY, "audit") != derive_key(KEY, "cache")
    with pytest.raises(ConfigurationError, match="32 bytes, got 31"):
        derive_key(KEY[1:], "audit")
