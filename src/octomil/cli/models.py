"""`octomil models`: the models that have a name, and those that are on this machine."""

import json
from dataclasses import asdict, dataclass

import click

from octomil.cli.tables import print_table
from octomil.config import Settings
from octomil.models.catalog import CATALOG, format_parameters
from octomil.models.local import LocalModel
from octomil.models.partial import format_size
from octomil.models.pull import ModelStore
from octomil.models.references import ModelRef, parse_reference

_HEADER = ("name", "parameters", "size", "licence", "kind", "local")
_RIGHT = frozenset({"parameters", "size"})


@dataclass(frozen=True, kw_only=True)
class _Row:
    name: str
    reference: str
    parameters: int | None
    size_bytes: int
    license: str | None
    kind: str
    context_length: int | None
    supports_tools: bool
    format: str
    path: str | None

    def cells(self) -> tuple[str, ...]:
        is_renamed = self.reference in CATALOG and self.name != self.reference
        return (
            f"{self.name} → {self.reference}" if is_renamed else self.name,
            format_parameters(self.parameters),
            format_size(self.size_bytes),
            self.license or "?",
            self.kind,
            "yes" if self.path else "-",
        )


@click.command("models")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def command(*, as_json: bool) -> None:
    """List the models that can be pulled by name, and those that are here."""
    rows = _rows(Settings.from_env())
    if as_json:
        click.echo(json.dumps([asdict(row) | {"local": bool(row.path)} for row in rows], indent=2))
    else:
        dim = [index for index, row in enumerate(rows) if not row.path]
        print_table(_HEADER, [row.cells() for row in rows], right=_RIGHT, dim=dim)


def _rows(settings: Settings) -> list[_Row]:
    store = ModelStore(settings)
    names = dict.fromkeys([*CATALOG, *settings.model_aliases])
    refs = [parse_reference(name, settings.model_aliases) for name in names]
    rows = [_row(ref, store.find(ref)) for ref in refs if ref.kind == "catalog"]
    rows += [_from_file(model) for model in store.list() if model.reference not in CATALOG]
    return rows


def _row(ref: ModelRef, model: LocalModel | None) -> _Row:
    entry = CATALOG[ref.target]
    return _Row(
        name=ref.name,
        reference=str(ref),
        parameters=entry.parameters,
        size_bytes=entry.size_bytes,
        license=entry.license,
        kind=entry.kind,
        context_length=entry.context_length,
        supports_tools=entry.supports_tools,
        format=entry.format,
        path=str(model.path) if model else None,
    )


def _from_file(model: LocalModel) -> _Row:
    return _Row(
        name=model.reference,
        reference=model.reference,
        parameters=model.parameters,
        size_bytes=model.size_bytes,
        license=model.license,
        kind=model.kind,
        context_length=model.context_length,
        supports_tools=model.supports_tools,
        format=model.format,
        path=str(model.path),
    )
