"""How people name a version of a model: `NAME`, `NAME@1.2.0` or `NAME@production`."""

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Self

from octomil.errors import ConfigurationError, NotFoundError
from octomil.http.records import Record
from octomil.registry.semver import SemVer

if TYPE_CHECKING:
    from octomil.sdk.model_registry import ModelRegistry


@dataclass(frozen=True, slots=True)
class VersionReference:
    """A version of a model, by name.

    Attributes:
        name: the model's.
        version: a number, or an alias with `@` before it; None for the latest.
    """

    name: str
    version: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a reference.

        Raises:
            ConfigurationError: it names no model, or nothing after the `@`.

        Example:
            >>> VersionReference.parse("mnist@1.2.0").version
            '1.2.0'
            >>> VersionReference.parse("mnist@production").version
            '@production'
        """
        name, at, rest = text.rpartition("@") if "@" in text else (text, "", "")
        if not name or (at and not rest):
            raise ConfigurationError(
                f"{text!r} names no model; write NAME, NAME@1.2.0 or NAME@ALIAS"
            )
        if not at:
            return cls(name)
        try:
            SemVer.parse(rest)
        except ValueError:
            return cls(name, f"@{rest}")
        return cls(name, rest)


def find_model(registry: "ModelRegistry", name: str) -> Record:
    """Return the model of that name.

    Raises:
        NotFoundError: there is none; the nearest is suggested.
        OctomilClientError: the control plane refuses, or does not answer.
    """
    models = {model.name: model for model in registry.iter_models()}
    if name in models:
        return models[name]
    near = get_close_matches(name, models, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "`octomil registry list` lists those there are"
    raise NotFoundError(f"the registry has no model {name!r}; {hint}")


def find_version(registry: "ModelRegistry", reference: VersionReference) -> tuple[Record, str]:
    """Return the model that a reference names, and the number of the version.

    Raises:
        NotFoundError: there is no such model, alias or version.
        OctomilClientError: the control plane refuses, or does not answer.
    """
    model = find_model(registry, reference.name)
    return model, registry.resolve_version(model.id, reference.version)
