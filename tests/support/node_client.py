"""OpenAI's client for Node.js, installed once, exactly as locked, outside the repository."""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from support.models import model_cache_dir
from support.needs import needed_program, skip_or_fail

LOCK_FOLDER = Path(__file__).parent.parent / "e2e" / "node"
_LOCKED = ("package.json", "package-lock.json")
_INSTALL_S = 300


def openai_package_folder() -> Path:
    """Return the folder whose `node_modules` holds the client; fetch it if need be."""
    needed_program("node")
    npm = needed_program("npm")
    locked = b"".join((LOCK_FOLDER / name).read_bytes() for name in _LOCKED)
    folder = model_cache_dir() / "node" / hashlib.sha256(locked).hexdigest()[:16]
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        for name in _LOCKED:
            shutil.copy(LOCK_FOLDER / name, made)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(
            command, cwd=made, capture_output=True, text=True, timeout=_INSTALL_S, check=False
        )
        if done.returncode != 0:
            skip_or_fail(f"npm could not fetch OpenAI's client: {done.stderr[-300:]}")
        if not folder.exists():  # else another run was first
            made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder
