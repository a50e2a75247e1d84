"""Peers, each in a virtual environment of its own, made on first use."""

import subprocess
import sys
from pathlib import Path

from bench.report import ROOT

LITELLM_VERSION = "1.106.2"

_LITELLM_VENV = ROOT / ".cache" / "bench" / "litellm"
_LITELLM_STAMP = _LITELLM_VENV / "bench.stamp"

LITELLM_ENV = {
    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "True",
    "LITELLM_LOG": "ERROR",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
"""Without key, database and per-request log, and without a download at start."""


def litellm_is_installed() -> bool:
    return _LITELLM_STAMP.exists() and _LITELLM_STAMP.read_text().strip() == LITELLM_VERSION


def litellm() -> Path:
    """The LiteLLM proxy's program, installed if need be (about two minutes, 700 MB)."""
    if not litellm_is_installed():
        print(f"Installing litellm[proxy] {LITELLM_VERSION} into {_LITELLM_VENV} …", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(_LITELLM_VENV)], check=True)
        python = str(_LITELLM_VENV / "bin" / "python")
        wanted = f"litellm[proxy]=={LITELLM_VERSION}"
        subprocess.run([python, "-m", "pip", "install", "--quiet", wanted], check=True)
        _LITELLM_STAMP.write_text(f"{LITELLM_VERSION}\n")
    return _LITELLM_VENV / "bin" / "litellm"


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
    config = _LITELLM_VENV / "config.yaml"
    config.write_text(f"model_list:\n{deployments}")
    return [
        *(str(program), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)),
        *("--num_workers", "1", "--telemetry", "False"),
    ]
