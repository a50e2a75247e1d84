"""All sources of settings merged, each value with the place it came from.

A value comes from the caller, else from the environment, else from the nearest `pyproject.toml`
with a table `[tool.epochly.inference]`, else it is the default.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from epochly.errors import ConfigurationError
from epochly.inference.config.environment import ENVIRONMENT, read_environment
from epochly.inference.config.inference import (
    MODE_PATHS,
    InferenceConfig,
    all_rules,
    check_setting,
    flatten,
)

_TABLE = "tool.epochly.inference"


@dataclass(frozen=True)
class LoadedConfig:
    """A configuration and where each of its values came from.

    Attributes:
        config: the configuration.
        sources: dotted name of each setting to its source: `"argument"`, the name of an
            environment variable, the path of a `pyproject.toml`, or `"default"`.
    """

    config: InferenceConfig
    sources: Mapping[str, str]

    def __str__(self) -> str:
        """One line per setting: its name, its value and its source."""
        values = dict(flatten(self.config.to_dict()))
        lines = [f"{path} = {values[path]!r}  # {source}" for path, source in self.sources.items()]
        return "\n".join(lines)


def load(
    overrides: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] = ENVIRONMENT,
    folder: Path | None = None,
) -> LoadedConfig:
    """Merge the caller's settings, the environment, `pyproject.toml` and the defaults.

    Args:
        overrides: the caller's settings, nested as for `InferenceConfig.from_dict`.
        environ: the environment.
        folder: where the search for `pyproject.toml` starts, upwards; the working directory if
            left out.

    Raises:
        ConfigurationError: a source holds an unknown setting or a value that is not allowed.

    Example:
        >>> loaded = load({"max_level": 1}, environ={"EPOCHLY_INFERENCE_CACHE_L1_SIZE": "5"})
        >>> loaded.config.cache.l1_size, loaded.sources["cache.l1_size"]
        (5, 'EPOCHLY_INFERENCE_CACHE_L1_SIZE')
    """
    file = _read_pyproject(folder or Path.cwd())
    variables = read_environment(environ, all_rules())
    arguments = {
        path: (check_setting(path, value), "argument") for path, value in flatten(overrides or {})
    }
    merged: dict[str, tuple[Any, str]] = {}
    for layer in (file, variables, arguments):
        merged |= _with_both_modes(layer)
    config = InferenceConfig.from_settings({path: value for path, (value, _) in merged.items()})
    sources = {path: merged[path][1] if path in merged else "default" for path in all_rules()}
    return LoadedConfig(config, MappingProxyType(sources))


def _with_both_modes(layer: dict[str, tuple[Any, str]]) -> dict[str, tuple[Any, str]]:
    """Give both names of the privacy mode the value of the one that the layer sets.

    Without this, a name set in one layer would contradict the other name set in a layer below.
    """
    stated = [layer[path] for path in MODE_PATHS if path in layer]
    return layer | dict.fromkeys(MODE_PATHS, stated[0]) if len(stated) == 1 else layer


def _read_pyproject(folder: Path) -> dict[str, tuple[Any, str]]:
    """Read the nearest file that has our table, from `folder` upwards."""
    for candidate in (folder, *folder.absolute().parents):
        path = candidate / "pyproject.toml"
        if not path.is_file():
            continue
        table = _inference_table(path)
        if table is not None:
            try:
                return {
                    name: (check_setting(name, value), str(path)) for name, value in flatten(table)
                }
            except ConfigurationError as err:
                raise ConfigurationError(f"{path}, [{_TABLE}]: {err}") from None
    return {}


def _inference_table(path: Path) -> Any:
    try:
        document: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as err:
        raise ConfigurationError(f"{path} cannot be read: {err}") from err
    for part in _TABLE.split("."):
        document = document.get(part) if isinstance(document, dict) else None
    return document
