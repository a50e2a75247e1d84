"""The environment as a source of settings."""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from epochly.errors import ConfigurationError
from epochly.inference.config.rules import Rule

PREFIX = "EPOCHLY_INFERENCE_"

ENVIRONMENT: Mapping[str, str] = os.environ
"""The process's own environment; the rest of `epochly.inference` reads it through this name."""


def variable_of(path: str) -> str:
    """Return the variable of a setting.

    Example:
        >>> variable_of("batching.max_wait_ms")
        'EPOCHLY_INFERENCE_BATCHING_MAX_WAIT_MS'
    """
    return PREFIX + path.replace(".", "_").upper()


def read_environment(
    environ: Mapping[str, str], rules: Mapping[str, Rule]
) -> dict[str, tuple[Any, str]]:
    """Return the settings the environment makes: dotted name to value and variable.

    A variable that is set but empty counts as unset.

    Raises:
        ConfigurationError: a variable with our prefix is no setting, or cannot be read.
    """
    paths = {variable_of(path): path for path in rules}
    found = {}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or not text:
            continue
        if variable not in paths:
            near = get_close_matches(variable, paths, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigurationError(f"unknown variable {variable}{hint}")
        path = paths[variable]
        try:
            found[path] = (rules[path].parse(text), variable)
        except ConfigurationError as err:
            raise ConfigurationError(f"{variable} {err}") from None
    return found
