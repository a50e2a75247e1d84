"""`octomil keys`: the API keys of an organisation in the control plane."""

import json
from collections.abc import Callable
from contextlib import closing
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import click

from octomil.cli.groups import SuggestingGroup
from octomil.cli.tables import minute, print_table

if TYPE_CHECKING:
    from octomil.http.api import ApiClient
    from octomil.http.records import Record

P = ParamSpec("P")

_ADMIN = ("*", "installation:admin")
_HOUR_S = 3600
_DAY_S = 86_400

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("keys", cls=SuggestingGroup)
def command() -> None:
    """Make, list, rotate and revoke API keys of the control plane, and the keys that it signs with.

    OCTOMIL_API_BASE says where it is, OCTOMIL_API_KEY who asks. A key can give no more scopes
    away than it has itself. Where no key is left, `create --data-dir DIR` needs none.
    """


def _with_api(body: "Callable[Concatenate[ApiClient, P], None]") -> Callable[P, None]:
    """Give a command its connection, which is closed when it ends."""

    @wraps(body)
    def connected(*args: P.args, **kwargs: P.kwargs) -> None:
        with _connected() as api:
            body(api, *args, **kwargs)

    return connected


def _connected() -> "closing[ApiClient]":
    from octomil.http.connection import connect

    return closing(connect(None, None, None)[0])


@command.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="SCOPE",
    help="What it is to be good for, such as devices:read; repeatable.",
)
@click.option(
    "--admin", "is_admin", is_flag=True, help="Good for everything, as the first start's key is."
)
@click.option(
    "--expires-in-days", type=click.IntRange(1), metavar="N", help="When it ends.  [default: never]"
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Make it on this machine, in the control plane's own folder, without any key.",
)
@click.option(
    "--organisation",
    metavar="ID",
    help="Whose it is to be, with --data-dir.  [default: default]",
)
@_json
def create(
    name: str,
    scopes: tuple[str, ...],
    *,
    is_admin: bool,
    expires_in_days: int | None,
    data_dir: Path | None,
    organisation: str | None,
    as_json: bool,
) -> None:
    """Make a key and print it, this once.

    With --data-dir the control plane may run meanwhile, and DATABASE_URL is heeded: that is the way
    back in when every key is lost. Run it as the user that owns the folder.
    """
    if is_admin == bool(scopes):
        raise click.UsageError("say what the key is to be good for: --scope SCOPE, or --admin")
    body: dict[str, Any] = {"name": name, "scopes": list(_ADMIN if is_admin else scopes)}
    if expires_in_days is not None:
        body["expires_in_seconds"] = expires_in_days * _DAY_S
    if data_dir is not None:
        made = _make_here(data_dir, organisation, body)
    elif organisation is not None:
        raise click.UsageError("--organisation goes with --data-dir; a key makes keys of its own")
    else:
        with _connected() as api:
            made = _post_once(api, "/keys", body)
    _print_new(made, as_json=as_json)


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
            minute(key.last_used_at) or "never",
            minute(key.expires_at) or "never",
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
    """Make a key void.

    It is so at once in the replica that is told, and within five seconds in the others.
    """
    from octomil.http.api import path_to

    key = api.post(path_to("keys", key_id, "revoke"), {})
    click.echo(f"{key.name} ({key.id}) is {key.status}.")


@command.command("signing")
@_json
@_with_api
def list_signing(api: "ApiClient", /, *, as_json: bool) -> None:
    """List the keys that sign versions.

    The last one signs. Those that did before are there for what they have signed.
    """
    keys = api.get("/signing-keys")["keys"]
    if as_json:
        click.echo(json.dumps(keys, indent=2))
        return
    rows = [
        (
            key.keyid,
            key.status,
            minute(key.created_at),
            minute(key.retired_at),
            key.endorsement.keyid if key.endorsement else "",
        )
        for key in keys
    ]
    print_table(("key", "status", "since", "until", "endorsed by"), rows)


@command.command("rotate-signing")
@_json
@_with_api
def rotate_signing(api: "ApiClient", /, *, as_json: bool) -> None:
    """Let a new key sign versions.

    The old one endorses it and is retired. Devices that trust the old one follow by themselves, and
    what it has signed goes on being signed.
    """
    key = api.post("/signing-keys/rotate", {})
    if as_json:
        click.echo(json.dumps(key, indent=2))
        return
    click.echo(f"{key.keyid} signs from now on; {key.endorsement.keyid} has endorsed it.")


def _make_here(data_dir: Path, organisation: str | None, body: dict[str, Any]) -> "Record":
    """Return a key that was made without the API, of what the API takes, too.

    Raises:
        BadRequestError: it does not take that; else as `make_key`.
    """
    from dataclasses import asdict

    from pydantic import TypeAdapter, ValidationError

    from octomil.compose_control import DEFAULT_ORGANISATION
    from octomil.compose_kept import make_key
    from octomil.config import Settings
    from octomil.control.data_folder import data_folder_at
    from octomil.errors import BadRequestError
    from octomil.http.records import Record
    from octomil.wire.api_keys import CreateKey

    try:
        request = TypeAdapter(CreateKey).validate_python(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise BadRequestError(f"{field}: {first['msg']}") from error
    folder = data_folder_at(data_dir)
    owner = organisation or DEFAULT_ORGANISATION
    return Record(asdict(make_key(Settings.from_env(), folder, owner, request)))


def _post_once(api: "ApiClient", path: str, body: dict[str, Any]) -> Any:
    """Post what must not be sent twice: the first answer alone has the key's text."""
    from octomil.http.exchange import Request

    return api.call(Request(method="POST", path=path, json=body, is_repeatable=False))


def _print_new(key: Any, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(key, indent=2))
        return
    click.echo(key.key)
    click.echo(f"{key.name} ({key.id}); this is the only time that the key is shown.", err=True)
