"""Packages that an engine needs and a plain installation does not have."""

from collections.abc import Sequence
from importlib.util import find_spec

from octomil.errors import MissingDependencyError


def require_packages(engine: str, packages: Sequence[str], *, extra: str | None) -> None:
    """Check that packages are installed, without importing them.

    Args:
        engine: what needs them.
        packages: by the names that they are imported and installed by.
        extra: of this distribution, which brings them; None where none does.

    Raises:
        MissingDependencyError: some are not; the message names them and the extra.
    """
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        wanted = " ".join(name.replace("_", "-") for name in missing)
        brings = f"; the extra `{extra}` brings all it needs" if extra else ""
        raise MissingDependencyError(
            f"the engine {engine!r} needs {wanted}: pip install {wanted}{brings}"
        )
