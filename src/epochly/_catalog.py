"""Names imported when they are first used, so that importing a package costs next to nothing.

A package keeps one table from its public names to the modules that define them::

    _HOMES = {"CostEstimator": "epochly.inference.metrics.cost"}
    __all__ = ["CostEstimator"]
    __getattr__, __dir__ = lazy_exports(__name__, _HOMES)
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_exports(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and the `__dir__` of a package whose names live in other modules.

    Args:
        package: the package's `__name__`.
        homes: public name to the full name of the module that defines it.

    Both follow PEP 562. A name is looked up once; after that it is an ordinary attribute.
    """

    def get_attribute(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(homes[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    def list_attributes() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return get_attribute, list_attributes
