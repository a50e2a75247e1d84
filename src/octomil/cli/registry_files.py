"""`octomil registry push`, `add-file` and `pull`: the files of versions, there and back."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from octomil.cli.connected import json_option, named_version, print_json, with_registry
from octomil.errors import InvalidModelFileError
from octomil.models.partial import format_size

if TYPE_CHECKING:
    from octomil.sdk.model_registry import ModelRegistry

_FRAMEWORKS = {
    ".pt": "pytorch", ".pth": "pytorch", ".onnx": "onnx", ".tflite": "tensorflow",
    ".mlpackage": "coreml", ".mlmodel": "coreml", ".gguf": "gguf", ".safetensors": "safetensors",
}  # fmt: skip


def _semantic(_context: click.Context, _option: click.Parameter, number: str) -> str:
    """Return a version's number if it is one."""
    from octomil.registry.semver import SemVer

    try:
        return str(SemVer.parse(number))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _check(file: Path) -> None:
    """Return if the control plane is going to take a file, as far as that can be told here.

    Raises:
        InvalidModelFileError: it is not.
    """
    from octomil.convert.files import inspect_in_sandbox
    from octomil.convert.inspection import RefusedFileError
    from octomil.convert.sandbox import SandboxError

    try:
        with suppress(SandboxError):  # says nothing of the file, which is looked at there again
            inspect_in_sandbox(file)
    except RefusedFileError as error:
        raise InvalidModelFileError(f"{file} is refused: {error}") from error


@click.command("push")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--name", required=True, help="The model; made if it is not there yet.")
@click.option(
    "--version",
    "number",
    required=True,
    callback=_semantic,
    help="A semantic version, such as 1.2.0.",
)
@click.option("--publish", is_flag=True, help="Publish it, so that it can never change.")
@click.option("--framework", help="What a new model is made with.  [default: by the file's name]")
@click.option("--use-case", default="general", show_default=True, help="What a new model is for.")
@click.option("--description", help="For people.")
@json_option
@with_registry
def push(
    registry: "ModelRegistry",
    /,
    file: Path,
    name: str,
    number: str,
    *,
    publish: bool,
    as_json: bool,
    **described: str | None,
) -> None:
    """Upload FILE as a version of a model.

    What was cut off goes on where it stopped when the same command runs again. A file that is no
    model that is taken is refused before a model is made for it.
    """
    _check(file)
    kind = described["framework"] or _FRAMEWORKS.get(file.suffix.lower(), "other")
    model = registry.ensure_model(name, kind, str(described["use_case"]))
    version = registry.upload_version_from_path(
        model.id, file, number, description=described["description"]
    )
    if publish:
        version = registry.publish_version(model.id, number)
    if as_json:
        print_json(version)
    else:
        click.echo(f"{name}@{number}: {version.status}, {', '.join(version.formats)}")


@click.command("add-file")
@click.argument("version")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--format",
    "format_",
    help="What it is to be; the weights of an ONNX model are known by `onnx_data` alone.  "
    "[default: as its content tells]",
)
@json_option
@with_registry
def add_file(
    registry: "ModelRegistry",
    /,
    version: str,
    file: Path,
    *,
    format_: str | None,
    as_json: bool,
) -> None:
    """Add FILE in another format to a VERSION that is not published yet.

    What was cut off goes on where it stopped when the same command runs again.
    """
    model, number = named_version(registry, version)
    added = registry.add_version_file(model.id, number, file, format_)
    if as_json:
        print_json(added)
    else:
        click.echo(f"{model.name}@{number}: {added.status}, {', '.join(added.formats)}")


@click.command("pull")
@click.argument("version")
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    default=Path(),
    metavar="PATH",
    help="File or folder.  [default: this folder]",
)
@click.option("--format", "format_", help="Such as onnx.  [default: as it was uploaded]")
@json_option
@with_registry
def pull(
    registry: "ModelRegistry", /, version: str, to: Path, format_: str | None, *, as_json: bool
) -> None:
    """Download a VERSION's file, verified; what was cut off goes on where it stopped."""
    model, number = named_version(registry, version)
    path = registry.download(model.id, number, to, format=format_)
    if as_json:
        print_json({"name": model.name, "version": number, "path": str(path)})
    else:
        size = format_size(path.stat().st_size)
        click.echo(f"{model.name}@{number}: pulled and verified, {size} at {path}")
