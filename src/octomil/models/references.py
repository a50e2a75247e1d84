"""Reads what a person writes where a model is asked for. Pure: nothing is looked up on disk.

| written | names |
|---|---|
| `smollm2-135m` | a model of the catalog |
| `models/my.gguf`, `./my.onnx` | a file |
| `./my-model` | a folder with safetensors, their configuration and tokenizer |
| `hf:owner/repo/file.gguf@revision` | a file on the hub; `@revision` may be left out |
| `registry:NAME@VERSION` | a model of a control plane's registry |
| `ollama:NAME`, `openai:NAME` | a model that another server runs |
| `echo`, `echo:NAME` | the built-in demo engine |
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path, PurePath
from typing import Literal

from octomil.errors import ConfigurationError, UnknownModelError
from octomil.models.catalog import CATALOG, SHORT_NAMES

RefKind = Literal["catalog", "file", "hf", "registry", "ollama", "openai", "echo"]

SCHEMES: tuple[RefKind, ...] = ("hf", "registry", "ollama", "openai", "echo")
"""What may stand before a colon; any other colon is part of a name, such as `llama3.2:3b`."""

FILE_SUFFIXES = (".gguf", ".onnx")


@dataclass(frozen=True, kw_only=True)
class ModelRef:
    """A parsed reference.

    Attributes:
        kind: what sort of thing is named.
        name: the name the model is served and shown under.
        target: catalog name, file path, hub repository, registry name, or upstream model.
        file: path in the hub repository; empty for other kinds.
        revision: hub revision or registry version; empty where there is none.
    """

    kind: RefKind
    name: str
    target: str
    file: str = ""
    revision: str = ""

    @property
    def has_files(self) -> bool:
        """Whether it is run from files, and not by another server or the demo engine."""
        return self.kind in {"catalog", "file", "hf", "registry"}

    def __str__(self) -> str:
        """The reference as it would be typed, whatever name it is served under."""
        if self.kind == "hf":
            return f"hf:{self.target}/{self.file}@{self.revision}"
        if self.kind == "registry":
            return f"registry:{self.target}@{self.revision}"
        if self.kind in {"ollama", "openai", "echo"}:
            return f"{self.kind}:{self.target}"
        return self.target


def split_names(values: Iterable[str]) -> list[str]:
    """Split names separated by commas or spaces, in order, each once.

    >>> split_names(["smollm2-135m,phi-4-mini", "smollm2-135m"])
    ['smollm2-135m', 'phi-4-mini']
    """
    pieces = (piece.strip() for value in values for piece in value.replace(",", " ").split())
    return list(dict.fromkeys(pieces))


def has_scheme(text: str) -> bool:
    """Tell whether a reference says itself where its model is or what runs it.

    >>> [has_scheme(text) for text in ("ollama:llama3.2:3b", "llama3.2:3b", "echo")]
    [True, False, False]
    """
    scheme, colon, _ = text.partition(":")
    return bool(colon) and scheme in SCHEMES


def parse_reference(text: str, aliases: Mapping[str, str] | None = None) -> ModelRef:
    """Read one reference.

    Args:
        text: as written after ``--models`` or ``octomil pull``.
        aliases: name → reference. An aliased model keeps the alias as its name.

    Raises:
        UnknownModelError: no model has that name; the nearest names are suggested.
        ConfigurationError: the reference is malformed, or aliases lead in a circle.
    """
    written = text.strip()
    target = _follow_aliases(written, aliases or {})
    ref = _parse(target, aliases or {})
    return ref if target == written else replace(ref, name=written)


def _follow_aliases(name: str, aliases: Mapping[str, str]) -> str:
    chain = [name]
    while (target := aliases.get(chain[-1])) is not None:
        if target in chain:
            circle = " → ".join([*chain, target])
            raise ConfigurationError(f"model aliases lead in a circle: {circle}")
        chain.append(target)
    return chain[-1]


def _parse(text: str, aliases: Mapping[str, str]) -> ModelRef:
    scheme, colon, rest = text.partition(":")
    if not colon and scheme == "echo":
        return ModelRef(kind="echo", name="echo", target="echo")
    if has_scheme(text) and not rest:
        raise ConfigurationError(f"{text!r} names no model; write {scheme}:NAME")
    match scheme if colon else "":
        case "hf":
            return _parse_hub(text, rest)
        case "registry":
            return _parse_registry(text, rest)
        case "ollama" | "openai" | "echo" as kind:
            return ModelRef(kind=kind, name=rest, target=rest)
        case _:
            return _parse_plain(text, aliases)


def _parse_hub(text: str, rest: str) -> ModelRef:
    path, _, revision = rest.partition("@")
    owner, _, tail = path.partition("/")
    repo, _, file = tail.partition("/")
    well_formed = all((owner, repo, file)) and ".." not in PurePath(path).parts
    well_formed = well_formed and rest.isprintable()  # bytes that are no text cannot be an address
    if not (well_formed and file.endswith(FILE_SUFFIXES)):
        raise ConfigurationError(
            f"{text!r} is not a hub file; write hf:OWNER/REPO/FILE.gguf or "
            "hf:OWNER/REPO/FILE.gguf@REVISION"
        )
    name = PurePath(file).stem
    return ModelRef(
        kind="hf", name=name, target=f"{owner}/{repo}", file=file, revision=revision or "main"
    )


def _parse_registry(text: str, rest: str) -> ModelRef:
    name, _, version = rest.partition("@")
    if not (name and version):
        raise ConfigurationError(
            f"{text!r} names no version; write registry:NAME@VERSION, such as "
            f"registry:{name or 'NAME'}@latest"
        )
    return ModelRef(kind="registry", name=name, target=name, revision=version)


def _parse_plain(text: str, aliases: Mapping[str, str]) -> ModelRef:
    is_path = "/" in text or os.sep in text or text.endswith(FILE_SUFFIXES)
    if is_path:
        path = Path(text).expanduser()
        name = path.stem if path.suffix in FILE_SUFFIXES else path.name
        return ModelRef(kind="file", name=name, target=str(path))
    catalog_name = SHORT_NAMES.get(text, text)
    if catalog_name in CATALOG:
        return ModelRef(kind="catalog", name=text, target=catalog_name)
    raise UnknownModelError(_unknown(text, aliases))


def _unknown(text: str, aliases: Mapping[str, str]) -> str:
    known = [*CATALOG, *SHORT_NAMES, *aliases, "echo"]
    near = get_close_matches(text.lower(), known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return (
        f"no model is called {text!r}; {hint}`octomil models` lists the names; a file path, "
        "hf:OWNER/REPO/FILE.gguf, ollama:NAME and openai:NAME work too"
    )
