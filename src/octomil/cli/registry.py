"""`octomil registry`: models and their versions in the control plane."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from octomil.cli.connected import json_option, named_version, print_json, with_registry
from octomil.cli.groups import SuggestingGroup
from octomil.cli.registry_files import add_file, pull, push
from octomil.cli.tables import day, minute, print_table
from octomil.models.partial import format_size

if TYPE_CHECKING:
    from octomil.http.records import Record
    from octomil.sdk.model_registry import ModelRegistry

_DIGITS = 12


@click.group("registry", cls=SuggestingGroup)
def command() -> None:
    """Keep models in the control plane: pushed, versioned, published, pulled.

    OCTOMIL_API_BASE says where it is, OCTOMIL_API_KEY who asks. A VERSION is written NAME@1.2.0,
    NAME@ALIAS, or NAME alone for the latest.
    """


@command.command("list")
@json_option
@with_registry
def list_models(registry: "ModelRegistry", /, *, as_json: bool) -> None:
    """List the models."""
    models = list(registry.iter_models())
    if as_json:
        print_json(models)
        return
    header = ("name", "framework", "use case", "updated", "id")
    rows = [(m.name, m.framework or "", m.use_case or "", day(m.updated_at), m.id) for m in models]
    print_table(header, rows)


@command.command("show")
@click.argument("name")
@json_option
@with_registry
def show(registry: "ModelRegistry", /, name: str, *, as_json: bool) -> None:
    """Show a model with its versions and aliases."""
    from octomil.sdk.references import find_model

    model = find_model(registry, name)
    versions: Sequence[Record] = registry.list_versions(model.id).versions
    aliases = registry.list_aliases(model.id)
    if as_json:
        print_json({**model, "versions": versions, "aliases": aliases})
        return
    click.echo(f"{model.name}  {model.id}")
    if model.description:
        click.echo(model.description)
    names: dict[str, list[str]] = {}
    for alias in aliases:
        names.setdefault(alias.version, []).append(alias.name)
    header = ("version", "status", "formats", "size", "created", "digest", "aliases")
    rows = [
        (
            v.version,
            v.status,
            ",".join(v.formats),
            format_size(sum(file.size_bytes for file in v.files)),
            day(v.created_at),
            _short(v.digest),
            ",".join(names.get(v.version, ())),
        )
        for v in versions
    ]
    print_table(header, rows, right={"size"})


command.add_command(push)
command.add_command(add_file)
command.add_command(pull)


@command.command("publish")
@click.argument("version")
@json_option
@with_registry
def publish(registry: "ModelRegistry", /, version: str, *, as_json: bool) -> None:
    """Publish a VERSION, which can never change then."""
    model, number = named_version(registry, version)
    _print_version(model, registry.publish_version(model.id, number), as_json=as_json)


@command.command("deprecate")
@click.argument("version")
@json_option
@with_registry
def deprecate(registry: "ModelRegistry", /, version: str, *, as_json: bool) -> None:
    """Withdraw a VERSION from what is the latest; who runs it keeps it."""
    model, number = named_version(registry, version)
    _print_version(model, registry.deprecate_version(model.id, number), as_json=as_json)


@command.command("alias")
@click.argument("version")
@click.argument("alias")
@click.option("--delete", "is_deleted", is_flag=True, help="Take the name away.")
@json_option
@with_registry
def alias(
    registry: "ModelRegistry", /, version: str, alias: str, *, is_deleted: bool, as_json: bool
) -> None:
    """Point ALIAS, such as production, at a VERSION."""
    model, number = named_version(registry, version)
    if is_deleted:
        registry.delete_alias(model.id, alias)
        click.echo(f"{model.name}@{alias} is no more")
        return
    moved = registry.set_alias(model.id, alias, number)
    if as_json:
        print_json(moved)
    else:
        click.echo(f"{model.name}@{alias} is {moved.version}")


@command.command("history")
@click.argument("name")
@click.argument("alias")
@json_option
@with_registry
def history(registry: "ModelRegistry", /, name: str, alias: str, *, as_json: bool) -> None:
    """Tell where ALIAS of the model NAME pointed, newest first, and who moved it."""
    from octomil.sdk.references import find_model

    steps = registry.get_alias_history(find_model(registry, name).id, alias)
    if as_json:
        print_json(steps)
        return
    rows = [(minute(s.moved_at), s.version or "-", str(s.revision), s.moved_by) for s in steps]
    print_table(("since", "version", "revision", "by"), rows, right={"revision"})


@command.command("parents")
@click.argument("version")
@click.argument("parents", nargs=-1, metavar="[PARENT]...")
@json_option
@with_registry
def set_parents(
    registry: "ModelRegistry", /, version: str, parents: tuple[str, ...], *, as_json: bool
) -> None:
    """Say which versions a VERSION comes from, in place of what was said before.

    Each PARENT is written as a VERSION is. A published version's lineage never changes.
    """
    model, number = named_version(registry, version)
    named = [named_version(registry, parent) for parent in parents]
    changed = registry.set_parents(model.id, number, [(m.id, parent) for m, parent in named])
    if as_json:
        print_json(changed)
        return
    told = ", ".join(f"{m.name}@{parent}" for m, parent in named) or "nothing"
    click.echo(f"{model.name}@{number} comes from {told}")


@command.command("lineage")
@click.argument("version")
@json_option
@with_registry
def lineage(registry: "ModelRegistry", /, version: str, *, as_json: bool) -> None:
    """Tell what a VERSION comes from and what comes from it, nearest first."""
    model, number = named_version(registry, version)
    found = {
        "ancestor": registry.get_ancestors(model.id, number),
        "descendant": registry.get_descendants(model.id, number),
    }
    if as_json:
        print_json({f"{kin}s": relatives for kin, relatives in found.items()})
        return
    rows = [
        (kin, f"{each.model}@{each.version}", each.status, _short(each.digest))
        for kin, relatives in found.items()
        for each in relatives
    ]
    print_table(("kin", "version", "status", "digest"), rows)


@command.command("delete")
@click.argument("name")
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
@json_option
@with_registry
def delete(registry: "ModelRegistry", /, name: str, *, is_sure: bool, as_json: bool) -> None:
    """Delete the model NAME with all its versions and aliases."""
    from octomil.sdk.references import find_model

    model = find_model(registry, name)
    if not is_sure:
        click.confirm(f"Delete {name} with all its versions?", abort=True, err=True)
    done = registry.delete_model(model.id)
    if as_json:
        print_json(done)
    else:
        click.echo(f"{name} is no more")


def _short(digest: str | None) -> str:
    return (digest or "").removeprefix("sha256:")[:_DIGITS]


def _print_version(model: "Record", version: "Record", *, as_json: bool) -> None:
    if as_json:
        print_json(version)
    else:
        click.echo(f"{model.name}@{version.version}: {version.status}")
