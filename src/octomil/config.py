"""Settings, and the only place that reads the environment.

A value comes from the constructor (a CLI flag), else the environment, else the default below.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self

from octomil.errors import ConfigurationError


def parse_aliases(text: str) -> dict[str, str]:
    """Read ``name=target,name=target`` into a mapping.

    Raises:
        ConfigurationError: an item has no ``=`` or an empty side.
    """
    aliases = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, equals, target = (piece.strip() for piece in item.partition("="))
        if not (name and equals and target):
            msg = f"{item!r} is not an alias; write NAME=TARGET, separated by commas"
            raise ConfigurationError(msg)
        aliases[name] = target
    return aliases


def _default_cache_dir(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "octomil"


def _default_state_dir(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "octomil"


def _default_data_dir(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "octomil"


def _variable(name: str, default: Any, doc: str, *, keep_empty: bool = False) -> Any:
    metadata = {"variable": name, "doc": doc, "keep_empty": keep_empty}
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the environment decides. Immutable; build one with :meth:`from_env`."""

    cache_dir: Path = _variable(
        "OCTOMIL_CACHE_DIR",
        Path("~/.cache/octomil"),
        "Folder for downloaded models.",
    )
    state_dir: Path = _variable(
        "OCTOMIL_STATE_DIR",
        Path("~/.local/state/octomil"),
        "Folder for what must outlive a restart, such as what was spent today.",
    )
    model_aliases: Mapping[str, str] = _variable(
        "OCTOMIL_MODEL_ALIASES",
        {},
        "`NAME=TARGET,…`: serve one model under another's name.",
    )
    hf_endpoint: str = _variable(
        "HF_ENDPOINT", "https://huggingface.co", "Hugging Face hub or a mirror of it."
    )
    hf_token: str | None = _variable("HF_TOKEN", None, "Token for gated models on the hub.")
    ollama_base_url: str = _variable(
        "OLLAMA_BASE_URL", "http://localhost:11434", "Where `ollama:NAME` models run."
    )
    openai_api_endpoint: str = _variable(
        "OPENAI_API_ENDPOINT",
        "",
        "Base URL of the OpenAI-compatible endpoint behind `openai:NAME` models.",
    )
    openai_api_key: str | None = _variable(
        "OPENAI_API_KEY", None, "Key for the OpenAI-compatible endpoint."
    )
    backend_timeout_s: float = _variable(
        "LLM_BACKEND_TIMEOUT",
        30.0,
        "Seconds an upstream may take to connect, and to send its next byte.",
    )

    serve_key: str | None = _variable(
        "OCTOMIL_SERVE_KEY",
        None,
        "The same as `octomil serve --api-key`; an empty one is refused.",
        keep_empty=True,
    )

    routing_model: Path | None = _variable(
        "OCTOMIL_ROUTING_MODEL",
        None,
        "A file that `octomil route calibrate` wrote, to route by instead of what ships.",
    )

    api_base: str = _variable(
        "OCTOMIL_API_BASE",
        "http://127.0.0.1:8000/api/v1",
        "Where the SDK, the CLI and devices find the control plane.",
    )
    api_key: str | None = _variable(
        "OCTOMIL_API_KEY",
        None,
        "Key for the control plane, `edg_…`; `octomil up` prints the first.",
    )
    org_id: str = _variable(
        "OCTOMIL_ORG_ID", "default", "The organisation that the key belongs to."
    )

    bootstrap_token: str | None = _variable(
        "OCTOMIL_BOOTSTRAP_TOKEN",
        None,
        "The same as `--bootstrap-token` of `octomil device run` and `serve`.",
    )

    data_dir: Path = _variable(
        "OCTOMIL_DATA_DIR",
        Path("~/.local/share/octomil"),
        "Folder of the control plane, the same as `octomil up --data-dir`.",
    )
    database_url: str | None = _variable(
        "DATABASE_URL",
        None,
        "Postgres for the control plane: `postgresql://USER:PASSWORD@HOST/NAME`; without it, a "
        "SQLite file in the data folder.",
    )
    redis_url: str | None = _variable(
        "REDIS_URL",
        None,
        "Where replicas of the control plane share their rate limits: `redis://HOST:6379/0`.",
    )
    blob_url: str | None = _variable(
        "OCTOMIL_BLOB_URL",
        None,
        "Where model files are kept: `s3://`, `gs://`, `az://` or `file://`; without it, in the "
        "data folder.",
    )
    public_url: str | None = _variable(
        "OCTOMIL_PUBLIC_URL",
        None,
        "The same as `octomil up --public-url`.",
    )
    webhooks_private: bool = _variable(
        "OCTOMIL_WEBHOOKS_PRIVATE",
        False,
        "`1` lets webhooks of the control plane have addresses of private networks.",
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ, **overrides: Any) -> Self:
        """Build settings from `environ`; keyword arguments win over it.

        Raises:
            ConfigurationError: a variable cannot be read, or a keyword is no setting.
        """
        known = {f.name: f for f in fields(cls)}
        for name in overrides:
            if name not in known:
                near = get_close_matches(name, known, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ConfigurationError(f"unknown setting {name!r}{hint}")
        values: dict[str, Any] = {
            "cache_dir": _default_cache_dir(environ),
            "state_dir": _default_state_dir(environ),
            "data_dir": _default_data_dir(environ),
        }
        for name, spec in known.items():
            text = environ.get(spec.metadata["variable"])
            if text or (text is not None and spec.metadata["keep_empty"]):
                values[name] = _READERS.get(name, str)(text)
        return cls(**(values | overrides))


def _read_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise ConfigurationError(f"{text!r} is not a number of seconds") from None
    if not 0 < seconds < float("inf"):
        raise ConfigurationError(f"a timeout must be above 0 seconds, got {text!r}")
    return seconds


def _read_switch(text: str) -> bool:
    try:
        return {"0": False, "1": True}[text]
    except KeyError:
        raise ConfigurationError(f"{text!r} is neither 0 nor 1") from None


_READERS: dict[str, Any] = {
    "cache_dir": lambda text: Path(text).expanduser(),
    "state_dir": lambda text: Path(text).expanduser(),
    "data_dir": lambda text: Path(text).expanduser(),
    "model_aliases": parse_aliases,
    "routing_model": lambda text: Path(text).expanduser(),
    "backend_timeout_s": _read_seconds,
    "webhooks_private": _read_switch,
}


def serving_environment(serve_key: str) -> dict[str, str]:
    """Return this process's environment for a child that serves, with the key it is to ask for."""
    return {**os.environ, "OCTOMIL_SERVE_KEY": serve_key}


def forbid_telemetry() -> None:
    """Tell libraries that report home to be silent; to be called before they are imported."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def variable_table() -> list[tuple[str, str, str]]:
    """Rows of (variable, default, meaning) for the generated documentation."""
    return [
        (
            spec.metadata["variable"],
            ""
            if spec.default in (None, "") or not isinstance(spec.default, str | float | Path)
            else str(spec.default),
            spec.metadata["doc"],
        )
        for spec in fields(Settings)
    ]
