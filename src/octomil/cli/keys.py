"""`octomil keys`: the API keys of an organisation in the control plane."""

import json
from collections.abc import Callable
from contextlib import closing
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import click

from octomil.cli.groups import SuggestingGroup
from octomil.cli.tables import print_table

if TYPE_CHECKING:
    from octomil.http.api import ApiClient

P = ParamSpec("P")

_HOUR_S = 3600
_DAY_S = 86_400

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("keys", cls=SuggestingGroup)
def command() -> None:
    """Make, list, rotate and revoke API keys of the control plane.

    OCTOMIL_API_BASE says where it is, OCTOMIL_API_KEY who asks. A key can give no more scopes
    away than it has itself.
    """


def _with_api(body: "Callable[Concatenate[ApiClient, P], None]") -> Callable[P, None]:
    """Give a command its connection, which is closed when it ends."""

    @wraps(body)
    def connected(*args: P.args, **kwargs: P.kwargs) -> None:
        from octomil.sdk.connection import connect

        api, _ = connect(None, None, None)
        with closing(api):
            body(api, *args, **kwargs)

    return connected


@command.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    metavar="SCOPE",
    help="What it is to be good for, such as devices:read; repeatable.",
)
@click.option(
    "--expires-in-days", type=click.IntRange(1), metavar="N", help="When it ends.  [default: never]"
)
@_json
@_with_api
def create(
    api: "ApiClient",
    /,
    name: str,
    scopes: tuple[str, ...],
    expires_in_days: int | None,
    *,
    as_json: bool,
) -> None:
    """Make a key and print it, this once."""
    body: dict[str, Any] = {"name": name, "scopes": list(scopes)}
    if expires_in_days is not None:
        body["expires_in_seconds"] = expires_in_days * _DAY_S
    _print_new(_post_once(api, "/keys", body), as_json=as_json)


@command.command("list")
@click.option("--all", "with_void", is_flag=True, help="Those that are void, too.")
@_json
@_with_api
def list_keys(api: "ApiClient", /, *, with_void: bool, as_json: bool) -> None:
    """List the keys: how they begin, never the whole."""
    keys = [key for key in api.get("/keys")["keys"] if with_void or key.status == "active"]
    if as_json:
        click.echo(json.dumps(keys, indent=2))
        return
    rows = [
        (
            key.name,
            f"{key.prefix}…",
            " ".join(key.scopes),
            key.status,
            _minute(key.last_used_at) or "never",
            _minute(key.expires_at) or "never",
            key.id,
        )
        for key in keys
    ]
    void = [number for number, key in enumerate(keys) if key.status != "active"]
    header = ("name", "begins", "scopes", "status", "last used", "ends", "id")
    print_table(header, rows, dim=void)


@command.command("rotate")
@click.argument("key_id", metavar="ID")
@click.option(
    "--grace-hours",
    type=click.IntRange(0, 30 * 24),
    default=24,
    show_default=True,
    metavar="N",
    help="So long the old one goes on being good.",
)
@_json
@_with_api
def rotate(api: "ApiClient", /, key_id: str, grace_hours: int, *, as_json: bool) -> None:
    """Make the key that follows another and print it, this once."""
    from octomil.http.api import path_to

    body = {"grace_seconds": grace_hours * _HOUR_S}
    _print_new(_post_once(api, path_to("keys", key_id, "rotate"), body), as_json=as_json)


@command.command("revoke")
@click.argument("key_id", metavar="ID")
@_with_api
def revoke(api: "ApiClient", /, key_id: str) -> None:
    """Make a key void: here at once, in other replicas within five seconds."""
    from octomil.http.api import path_to

    key = api.post(path_to("keys", key_id, "revoke"), {})
    click.echo(f"{key.name} ({key.id}) is {key.status}.")


def _post_once(api: "ApiClient", path: str, body: dict[str, Any]) -> Any:
    """Post what must not be sent twice: the first answer alone has the key's text."""
    from octomil.http.api import Request

    return api.call(Request(method="POST", path=path, json=body, is_repeatable=False))


def _print_new(key: Any, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(key, indent=2))
        return
    click.echo(key.key)
    click.echo(f"{key.name} ({key.id}); this is the only time that the key is shown.", err=True)


def _minute(moment: str | None) -> str:
    return (moment or "")[:16].replace("T", " ")
