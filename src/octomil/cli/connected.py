"""Commands that ask the control plane, and what all of them print."""

import json
from collections.abc import Callable
from contextlib import closing
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import click

if TYPE_CHECKING:
    from octomil.http.records import Record
    from octomil.sdk.model_registry import ModelRegistry

P = ParamSpec("P")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def with_registry(
    body: "Callable[Concatenate[ModelRegistry, P], None]",
) -> Callable[P, None]:
    """Give a command its connection, which is closed when it ends."""

    @wraps(body)
    def connected(*args: P.args, **kwargs: P.kwargs) -> None:
        from octomil.sdk.model_registry import ModelRegistry

        with closing(ModelRegistry(show_progress=True)) as registry:
            body(registry, *args, **kwargs)

    return connected


def named_version(registry: "ModelRegistry", text: str) -> "tuple[Record, str]":
    """Return the model and the number of the version that somebody named."""
    from octomil.sdk.references import VersionReference, find_version

    return find_version(registry, VersionReference.parse(text))


def print_json(value: Any) -> None:
    """Print what programs read."""
    click.echo(json.dumps(value, indent=2))
