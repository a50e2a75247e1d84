"""Peers, each in a virtual environment of its own, made on first use."""

import subprocess
import sys
from pathlib import Path

from bench.report import ROOT

LITELLM_VERSION = "1.106.2"

_LITELLM = ("litellm", f"litellm[proxy]=={LITELLM_VERSION}")

LITELLM_ENV = {
    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "True",
    "LITELLM_LOG": "ERROR",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
"""Without key, database and per-request log, and without a download at start."""


def peer_python(name: str, *requirements: str) -> Path:
    """The interpreter of the environment `name` that has `requirements`, installed if need be."""
    venv = _venv(name)
    python, stamp = venv / "bin" / "python", venv / "bench.stamp"
    if not _is_installed(name, *requirements):
        print(f"Installing {' and '.join(requirements)} into {venv} …", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *requirements], check=True)
        stamp.write_text("\n".join(requirements), encoding="utf-8")
    return python


def _venv(name: str) -> Path:
    return ROOT / ".cache" / "bench" / name


def _is_installed(name: str, *requirements: str) -> bool:
    stamp = _venv(name) / "bench.stamp"
    return stamp.exists() and stamp.read_text(encoding="utf-8") == "\n".join(requirements)


def litellm_is_installed() -> bool:
    return _is_installed(*_LITELLM)


def litellm() -> Path:
    """The LiteLLM proxy's program, installed if need be (about two minutes, 700 MB)."""
    return peer_python(*_LITELLM).parent / "litellm"


def litellm_argv(port: int, upstream_port: int) -> list[str]:
    """A proxy with one worker that spreads model `auto` over two deployments."""
    deployments = "".join(
        "  - model_name: auto\n"
        "    litellm_params:\n"
        f"      model: openai/{name}\n"
        f"      api_base: http://127.0.0.1:{upstream_port}/v1\n"
        "      api_key: x\n"
        for name in ("fast", "quality")
    )
    program = litellm()
    config = _venv(_LITELLM[0]) / "config.yaml"
    config.write_text(f"model_list:\n{deployments}")
    return [
        *(str(program), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)),
        *("--num_workers", "1", "--telemetry", "False"),
    ]
