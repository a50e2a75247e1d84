"""Packages that are used when they are installed, and named when they are missed."""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from epochly.errors import MissingDependencyError


def available(module: str) -> bool:
    """Tell whether a module could be imported, without importing it."""
    try:
        return find_spec(module) is not None
    except (ModuleNotFoundError, ValueError):  # no such parent package, or a half-made module
        return False


def require(module: str, *, package: str | None = None, purpose: str) -> ModuleType:
    """Import an optional module, or say which package to install and what for.

    Args:
        module: the module's full name, such as `"opentelemetry.sdk.metrics"`.
        package: the distribution to install, where its name is not the module's first part.
        purpose: what needs it, as the start of the message: `"encryption at rest"`.

    Raises:
        MissingDependencyError: the module is not installed. A module that is installed and
            fails by itself raises its own error.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as err:
        if err.name is None or not f"{module}.".startswith(f"{err.name}."):
            raise
        distribution = package or module.partition(".")[0].replace("_", "-")
        msg = f"{purpose} needs the package {distribution!r}: pip install {distribution}"
        raise MissingDependencyError(msg, name=err.name) from err
