"""Whole files, looked through in the sandbox as the server does it."""

import io
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from octomil.convert.files import inspect_in_sandbox
from octomil.convert.formats import Format
from octomil.convert.inspection import RefusedFileError, inspect_file
from support import model_files as made
from support.folders import names_in

GOOD = {
    "pytorch": (made.torch_file(), True),
    "torchscript": (made.torchscript_file(), True),
    "torch_export": (made.torch_export_file(), False),
    "safetensors": (made.safetensors_file(w=[1.0]), False),
    "onnx": (made.onnx_file(), False),
    "tflite": (made.tflite_file(), False),
    "coreml": (made.mlpackage_file(), False),
    "gguf": (made.gguf_file(), False),
    "numpy": (made.npy_file(), False),
}
NAMES = tuple(made.exploits(Path("canary")))


def written(folder: Path, content: bytes) -> Path:
    path = folder / "model.bin"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", GOOD)
def test_a_file_is_known_by_what_is_in_it(kind: str, tmp_path: Path):
    content, has_pickles = GOOD[kind]

    found = inspect_in_sandbox(written(tmp_path, content))

    assert (found.format, found.has_pickles, found.unknown_imports) == (kind, has_pickles, ())


def test_a_legacy_torch_file_is_known(tmp_path: Path):
    found = inspect_in_sandbox(written(tmp_path, made.legacy_torch_file()))

    assert (found.format, found.has_pickles) == (Format.PYTORCH, True)


def test_a_model_with_code_of_its_own_says_so(tmp_path: Path):
    pickled = b"\x80\x02c__main__\nNet\n)\x81}b."

    found = inspect_in_sandbox(written(tmp_path, made.torch_file(pickled)))

    assert found.unknown_imports == ("__main__.Net",)


def hidden(exploit: bytes) -> Iterator[bytes]:
    """Ways to bring an exploit along."""
    inner = made.torch_file(exploit)
    members = {"m/data.pkl": exploit, "m/version": b"3"}
    yield inner
    yield made.legacy_torch_file(exploit)
    yield made.torchscript_file(exploit)
    yield made.zip_file({"m/weights.pt": inner, "m/archive_format": b"pt2"})
    yield made.zip_file(members, compression=zipfile.ZIP_DEFLATED)
    if exploit.startswith(b"\x80"):  # older ones look like nothing, and need a name to be loaded
        yield exploit
        yield made.zip_file({**members, "m/data.pkl": b"\x80\x02N.", "m/extra.bin": exploit})


@pytest.mark.parametrize("name", NAMES)
def test_no_exploit_is_taken_however_it_is_wrapped(name: str, tmp_path: Path):
    canary = tmp_path / "canary"
    for content in hidden(made.exploits(canary)[name]):
        with pytest.raises(RefusedFileError, match="would run code"):
            inspect_file(written(tmp_path, content))

    assert not canary.exists()


def test_an_exploit_is_refused_in_the_sandbox_too(tmp_path: Path):
    canary = tmp_path / "canary"
    exploit = made.exploits(canary)["os.system"]

    with pytest.raises(RefusedFileError, match=r"would run code .* posix\.system"):
        inspect_in_sandbox(written(tmp_path, made.torch_file(exploit)))

    assert not canary.exists()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no model file"),
        (b"import os", "no model file"),
        (b"(S'touch x'\niposix\nsystem\n.", "no model file"),
        (b"\x80\x02N.", "no model file"),
        (made.npy_file("|O"), "Python objects"),
        (made.zip_file({"w.npy": made.npy_file("O")}), "Python objects"),
        (made.zip_file({"photo.jpg": b"\xff\xd8"}), "no model file"),
        (made.torch_file()[:-30], "broken"),
        (made.torch_file(b"\x80\x02N"), "no pickle"),
    ],
)
def test_what_is_no_model_is_refused(content: bytes, why: str, tmp_path: Path):
    with pytest.raises(RefusedFileError, match=why):
        inspect_in_sandbox(written(tmp_path, content))


def symlink_archive() -> bytes:
    link = zipfile.ZipInfo("m/link")
    link.external_attr = 0o120777 << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    return out.getvalue()


def overlapping_archive() -> bytes:
    """Two entries of the directory that mean the same bytes."""
    content = bytearray(made.zip_file({"m/a": b"x" * 50, "m/b": b"y" * 50}))
    second = content.rindex(b"PK\x01\x02")
    content[second + 42 : second + 46] = struct.pack("<I", 0)
    return bytes(content)


def garbled_archive() -> bytes:
    """A member whose compressed bytes are none."""
    content = made.zip_file({"m/data.pkl": b"abcdefgh" * 8}, compression=zipfile.ZIP_DEFLATED)
    start = content.index(b"m/data.pkl") + len(b"m/data.pkl")
    return content[:start] + b"\xff\xff\xff" + content[start + 3 :]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (garbled_archive(), "is broken"),
        (made.zip_file({"../../etc/cron.d/x": b""}), "outside of its folder"),
        (made.zip_file({"/etc/passwd": b""}), "outside of its folder"),
        (made.zip_file({"m\\..\\x": b""}), "outside of its folder"),
        (made.zip_file({"C:/x": b""}), "outside of its folder"),
        (made.zip_file({"M/a": b"", "m/A": b""}), "there twice"),
        (made.zip_file({"m/x": b"x"}, compression=zipfile.ZIP_BZIP2), "else than deflate"),
        (made.zip_file({"m/x": b"x"}, compression=zipfile.ZIP_LZMA), "else than deflate"),
        (symlink_archive(), "is a link"),
        (overlapping_archive(), "lies over another"),
        (made.zip_file({"m/x": bytes(50 << 20)}, compression=zipfile.ZIP_DEFLATED), "would become"),
        (
            made.zip_file(
                {"a": made.zip_file({"a": made.zip_file({"a": made.zip_file({"a": b""})})})}
            ),
            "deep in each other",
        ),
    ],
)
def test_tricky_archives_are_refused(content: bytes, why: str, tmp_path: Path):
    with pytest.raises(RefusedFileError, match=why):
        inspect_in_sandbox(written(tmp_path, content))


def test_a_pickle_that_wants_all_memory_is_refused(tmp_path: Path):
    greedy = b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40)
    path = written(tmp_path, made.torch_file(greedy))

    with pytest.raises(RefusedFileError, match="larger than 256 MiB"):
        inspect_in_sandbox(path)


def test_looking_leaves_nothing_behind(tmp_path: Path):
    path = written(tmp_path, made.torch_file())
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    inspect_in_sandbox(path, scratch)

    assert names_in(scratch) == []
    assert path.read_bytes() == made.torch_file()
