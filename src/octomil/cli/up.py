"""`octomil up`: the control plane."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any

import click

from octomil.asgi.memory import start_without_garbage
from octomil.cli.lines import say
from octomil.config import Settings
from octomil.control.options import ControlOptions
from octomil.errors import ConfigurationError, MissingDependencyError

if TYPE_CHECKING:
    from octomil.control.serving_node import ServingNode

_DEFAULTS = ControlOptions()


@click.command("up")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where everything is kept; made at the first start.  [default: OCTOMIL_DATA_DIR]",
)
@click.option("--port", type=click.IntRange(0, 65535), default=_DEFAULTS.port, show_default=True)
@click.option("--host", default=_DEFAULTS.host, show_default=True)
@click.option(
    "--cors-origin",
    "cors_origins",
    multiple=True,
    metavar="ORIGIN",
    help="Let pages of this origin call; repeatable.  [default: none]",
)
@click.option(
    "--tls-cert",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Certificate and those above it, in PEM; speaks HTTPS then.",
)
@click.option(
    "--tls-key",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The certificate's private key, in PEM.",
)
@click.option(
    "--insecure", is_flag=True, help="Take plain HTTP on an address that others can reach."
)
@click.option(
    "--trusted-proxy",
    "trusted_proxies",
    multiple=True,
    metavar="ADDRESS",
    help="Believe this proxy, or network of proxies, for whom it asks (X-Forwarded-For); "
    "repeatable.  [default: none]",
)
@click.option(
    "--public-url",
    metavar="URL",
    help="How clients reach it behind a proxy, such as https://models.example; download links "
    "begin with it.  [default: OCTOMIL_PUBLIC_URL, else as the request came]",
)
@click.option(
    "--rate-limit",
    default=_DEFAULTS.rate_limit,
    show_default=True,
    metavar="N/UNIT",
    help="Requests of each API key in a second (s), minute (m) or hour (h); or off.",
)
@click.option(
    "--device-rate-limit",
    default=_DEFAULTS.device_rate_limit,
    show_default=True,
    metavar="N/UNIT",
    help="The same for each device.",
)
@click.option(
    "--failure-rate-limit",
    default=_DEFAULTS.failure_rate_limit,
    show_default=True,
    metavar="N/UNIT",
    help="Wrong keys and tokens of each client address, likewise.",
)
@click.option(
    "--body-memory",
    "body_memory_mib",
    type=click.IntRange(1),
    default=_DEFAULTS.body_memory_mib,
    show_default=True,
    metavar="MIB",
    help="Memory that the bodies of all requests together may take.",
)
@click.option(
    "--open-uploads",
    type=click.IntRange(1),
    default=_DEFAULTS.open_uploads,
    show_default=True,
    metavar="N",
    help="Uploads that each organisation may have under way.",
)
@click.option(
    "--open-upload-size",
    "open_upload_gib",
    type=click.IntRange(1),
    default=_DEFAULTS.open_upload_gib,
    show_default=True,
    metavar="GIB",
    help="What those are going to have together.",
)
@click.option(
    "--open-generations",
    type=click.IntRange(1),
    default=_DEFAULTS.open_generations,
    show_default=True,
    metavar="N",
    help="Answers of models that each organisation may have in the making.",
)
@click.option(
    "--drain-timeout",
    "drain_s",
    type=click.FloatRange(0),
    default=_DEFAULTS.drain_s,
    show_default=True,
    help="Seconds running requests get to finish after SIGTERM.",
)
@click.option(
    "--node",
    "node_models",
    metavar="A,B,C",
    help="Run `octomil serve --models A,B,C --auto-route --fallback --on-demand` beside it, ended "
    "with it.  [default: a node of its own, once it is asked for an answer]",
)
@click.option(
    "--node-port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="The port of that node.",
)
@click.option("--no-node", is_flag=True, help="Run no node: models are asked elsewhere, or not.")
def command(
    data_dir: Path | None,
    *,
    public_url: str | None,
    node_models: str | None,
    node_port: int,
    no_node: bool,
    **flags: Any,
) -> None:
    """Run the control plane: devices, models and rollouts, for every node and client.

    The first start makes the folder and prints an admin key, once. DATABASE_URL keeps the rows in
    Postgres, OCTOMIL_BLOB_URL the files in an object store.
    """
    given: dict[str, Any] = {} if public_url is None else {"public_url": public_url}
    options, settings = ControlOptions(**flags), Settings.from_env(**given)
    if no_node and node_models is not None:
        raise ConfigurationError("--node and --no-node contradict one another: leave one out")
    opened = partial(_node, node_models, node_port, options.drain_s)
    start_without_garbage()
    try:
        from octomil.asgi.server import ended_by_interrupt

        with ended_by_interrupt():
            _run(
                options, settings, data_dir or settings.data_dir, nullcontext if no_node else opened
            )
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"`octomil up` needs the package {error.name!r}, which is not installed"
        ) from error


def _run(
    options: ControlOptions,
    settings: Settings,
    data_dir: Path,
    open_node: Callable[[], AbstractContextManager["ServingNode | None"]],
) -> None:
    from octomil.asgi.server import listen
    from octomil.compose_control import build_plane, first_admin_key
    from octomil.control.data_folder import open_data_folder
    from octomil.control.server import run
    from octomil.control.services.rate_limits import read_limits
    from octomil.control.services.upload_quotas import UploadQuota

    os.umask(0o077)  # keys are kept, and the folder may be one that others can look into
    limits = read_limits(
        key=options.rate_limit,
        device=options.device_rate_limit,
        failures=options.failure_rate_limit,
        uploads=UploadQuota(most=options.open_uploads, most_bytes=options.open_upload_gib << 30),
        generations=options.open_generations,
    )
    with (
        listen(options.host, options.port) as listener,
        open_data_folder(data_dir) as folder,
        open_node() as node,
    ):
        plane = build_plane(settings, folder, limits=limits, node=node)
        say(f"[up] Data in {folder.path}")
        with plane.store.group():  # committed once it was shown: a key that nobody saw is none
            key = first_admin_key(plane)
            if key is not None:
                say(f"[up] Admin key, shown this once: {key}")
        run(plane, options, listener, say)


@contextmanager
def _node(models: str | None, port: int, drain_s: float) -> "Iterator[ServingNode]":
    """Yield the serving node beside the control plane; one of no models waits to be asked."""
    from octomil.asgi.server import listen
    from octomil.control.serving_node import ServingNode

    flags = ["--on-demand", "--drain-timeout", str(drain_s)]
    if models is None:
        flags += ["--quiet"]
        key, listener = token_urlsafe(), listen("127.0.0.1", 0)
    else:
        flags += ["--models", models, "--auto-route", "--fallback", "--examples"]
        key, listener = None, listen("127.0.0.1", port, "--node-port")
    with ServingNode(flags, listener, drain_s=drain_s, say=say, key=key) as node:
        if models is not None:
            node.start()
        yield node
