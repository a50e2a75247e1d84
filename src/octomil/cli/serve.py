"""`octomil serve`: models behind one OpenAI-compatible endpoint."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from octomil.asgi.lifeline import drain_with
from octomil.asgi.server import listen
from octomil.cli.device_options import device_options
from octomil.cli.lines import say
from octomil.compose import build_node, fetch_models
from octomil.config import Settings
from octomil.device.options import DeviceOptions
from octomil.doctor.software import require_own_names
from octomil.errors import ConfigurationError, MissingDependencyError
from octomil.models.catalog import CATALOG
from octomil.models.progress import open_progress
from octomil.models.references import ModelRef, has_scheme, parse_reference, split_names
from octomil.routing.router import STRATEGIES
from octomil.serve.options import ServeOptions
from octomil.serve.request_log import RequestLog, warnings_to
from octomil.serve.server import run

if TYPE_CHECKING:
    from octomil.compose_device import NodeDevice

_DEFAULTS = ServeOptions(models=())
_LOCAL_ENGINE = "llama_cpp"
_ENGINES = (_LOCAL_ENGINE, "ollama", "openai", "echo")

_EXAMPLES = """
Try:
  curl {url}/v1/chat/completions -H "Content-Type: application/json" -d '{{"model": "auto", \
"temperature": 0, "messages": [{{"role": "user", "content": "What is the capital of France?"}}]}}'
  curl {url}/v1/chat/completions -H "Content-Type: application/json" -d '{{"model": "auto", \
"temperature": 0, "messages": [{{"role": "user", \
"content": "Write a Python function that reverses a string."}}]}}'
  curl -i {url}/v1/chat/completions -H "Content-Type: application/json" -d '{{"model": "auto", \
"messages": [{{"role": "user", "content": "What is 15% of 240?"}}]}}'
"""


@click.command("serve")
@click.argument("model", required=False)
@click.option("--models", metavar="A,B,C", help="Models to serve, smallest first.")
@click.option(
    "--auto-route", is_flag=True, help='Send `model: "auto"` to the cheapest model able to answer.'
)
@click.option(
    "--route-strategy",
    type=click.Choice(STRATEGIES),
    default=_DEFAULTS.route_strategy,
    show_default=True,
    help="How the router decides.",
)
@click.option(
    "--fallback", is_flag=True, help="Try the next model when one is not sure of its answer."
)
@click.option(
    "--no-decompose",
    "decompose",
    flag_value=False,
    default=True,
    help="Route a message as a whole, even if it asks for several things.",
)
@click.option(
    "--price",
    "prices",
    multiple=True,
    metavar="MODEL=IN/OUT",
    help="US dollars for a million prompt tokens and completion tokens; repeatable.",
)
@click.option(
    "--spend-cap",
    "spend_cap_usd",
    type=click.FloatRange(0),
    metavar="USD",
    help="US dollars that models with a price may cost a day (UTC).  [default: no limit]",
)
@click.option("--port", type=click.IntRange(0, 65535), default=_DEFAULTS.port, show_default=True)
@click.option("--host", default=_DEFAULTS.host, show_default=True)
@click.option(
    "--engine",
    type=click.Choice(_ENGINES),
    help="Who runs the models that name no engine themselves; the default is this machine.",
)
@click.option(
    "--api-key",
    "api_keys",
    multiple=True,
    metavar="[TENANT=]KEY",
    help="Ask clients for this bearer token; repeatable, and counted by tenant. "
    "OCTOMIL_SERVE_KEY does the same.",
)
@click.option(
    "--max-queue",
    type=click.IntRange(0),
    default=_DEFAULTS.max_queue,
    show_default=True,
    help="Requests that may wait for each model; more get 429.",
)
@click.option(
    "--queue-timeout",
    "queue_timeout_s",
    type=click.FloatRange(0, min_open=True),
    default=_DEFAULTS.queue_timeout_s,
    show_default=True,
    help="Seconds a request may wait for its turn; then it gets 504.",
)
@click.option(
    "--body-timeout",
    "body_timeout_s",
    type=click.FloatRange(0, min_open=True),
    default=_DEFAULTS.body_timeout_s,
    show_default=True,
    help="Seconds a request's body may take to arrive; then it gets 408.",
)
@click.option(
    "--breaker-failures",
    type=click.IntRange(0, 100),
    default=_DEFAULTS.breaker_failures,
    show_default=True,
    help="Failures in a row after which a model is not asked for a while; 0 for never.",
)
@click.option(
    "--audit-log",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep a tamper-evident log there of who asked which model, without texts.",
)
@click.option("--audit-content", is_flag=True, help="Keep redacted prompts in the audit log, too.")
@click.option(
    "--cache-size",
    "cache_mib",
    type=click.IntRange(0),
    default=_DEFAULTS.cache_mib,
    show_default=True,
    help="MiB each local model may use for prompts it has read before.",
)
@click.option(
    "--threads", type=click.IntRange(1), help="CPU threads for each local model.  [default: shared]"
)
@click.option(
    "--slots",
    type=click.IntRange(1, 64),
    default=_DEFAULTS.slots,
    show_default=True,
    help="Requests each local model works on at once.",
)
@click.option(
    "--ctx-size",
    "context_tokens",
    type=click.IntRange(64),
    help="Tokens of prompt and answer per request.  [default: 4096, or the model's]",
)
@click.option(
    "--cors-origin",
    "cors_origins",
    multiple=True,
    metavar="ORIGIN",
    help="Let pages of this origin call the node; repeatable.  [default: none]",
)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="Answer to this name in `Host`; repeatable.  [default: without a key, loopback's own]",
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
    "--allow-overcommit", is_flag=True, help="Load the models even if memory looks too small."
)
@click.option(
    "--on-demand",
    is_flag=True,
    help="Fetch and load what a request names, if `octomil models` lists it; unload what idles.",
)
@click.option(
    "--memory",
    "memory_mib",
    type=click.IntRange(1),
    metavar="MIB",
    help="Memory that all models together may take, with --on-demand.  [default: what is free]",
)
@click.option(
    "--idle-timeout",
    "idle_s",
    type=click.FloatRange(0),
    default=_DEFAULTS.idle_s,
    show_default=True,
    help="Seconds without a request after which --on-demand unloads a model; 0 for never.",
)
@device_options(
    "--control-plane",
    "Be a device of it: serve registry:NAME@ALIAS from there, and follow its rollouts.",
)
@click.option("--quiet", is_flag=True, help="Write no line per request.")
@click.option("--examples", is_flag=True, help="Print requests to try once the node is ready.")
@click.option("--lifeline", type=int, hidden=True, help="Drain when this pipe ends.")
@click.option("--listener", type=int, hidden=True, help="Listen on this open socket.")
def command(  # noqa: PLR0913 - one for each option that is no field of `ServeOptions`
    model: str | None,
    models: str | None,
    *,
    engine: str | None,
    api_keys: tuple[str, ...],
    device: DeviceOptions,
    quiet: bool,
    examples: bool,
    lifeline: int | None,
    listener: int | None,
    **flags: Any,
) -> None:
    """Serve MODEL, or several --models, behind one OpenAI-compatible endpoint.

    A model is a name from `octomil models`, a .gguf file, hf:OWNER/REPO/FILE.gguf, ollama:NAME,
    openai:NAME, echo, or, with --control-plane, registry:NAME@ALIAS or registry:NAME@VERSION. What
    is not on this machine yet is fetched first. With --on-demand there need be none.
    """
    require_own_names()
    if lifeline is not None:
        drain_with(lifeline)
    names = split_names([name for name in (model, models) if name])
    settings = device.settings()
    options = ServeOptions(
        models=tuple(_with_engine(name, engine, settings) for name in names),
        api_keys=api_keys or key_of(settings),
        **flags,
    )
    inherited = None if listener is None else socket.socket(fileno=listener)
    serve_node(settings, options, device, quiet=quiet, examples=examples, inherited=inherited)


def serve_node(
    settings: Settings,
    options: ServeOptions,
    device: DeviceOptions,
    *,
    quiet: bool = False,
    examples: bool = False,
    follows_all: bool = False,
    inherited: socket.socket | None = None,
) -> None:
    """Serve until a signal ends it.

    Args:
        settings: from the environment, and from `device`.
        options: what to serve, and how.
        device: how it is a device, if it is one.
        quiet: whether to write no line per request.
        examples: whether to print requests to try.
        follows_all: whether a device fetches and activates what it does not serve, too.
        inherited: listens already; None opens a socket of its own.
    """
    if inherited is None:
        listen(options.host, options.port).close()  # a taken port shows before a long download
    with _as_device(settings, options, device, follows_all=follows_all) as itself:
        with open_progress() as progress:
            fetch = None if itself is None else partial(itself.fetch, progress=progress)
            found = fetch_models(settings, options, progress, from_registry=fetch)
        with (
            inherited or listen(options.host, options.port) as listener,
            RequestLog(sys.stderr) as log,
            warnings_to(log),
        ):
            releases = {} if itself is None else itself.releases
            shown = None if quiet else log
            node = build_node(settings, options, found, log=shown, releases=releases)
            show = partial(_show_examples, is_wanted=examples)
            if itself is None:
                run(node, options, listener, say, show)
                return
            beside = partial(itself.following, node, options, found)
            instead = partial(itself.go_back, node, options, found)
            run(node, options, listener, say, show, beside=beside, instead=instead)


@contextmanager
def _as_device(
    settings: Settings, options: ServeOptions, device: DeviceOptions, *, follows_all: bool
) -> Iterator["NodeDevice | None"]:
    """Yield the node as a device, where it is one.

    Raises:
        ConfigurationError: it has a control plane and nothing to serve from there, or is told how
            to be a device of none.
        MissingDependencyError: a package is missing that only a device needs.
    """
    if device.api_base is None:
        if device != DeviceOptions(poll_s=device.poll_s):
            raise ConfigurationError(
                "--bootstrap-token, --identifier and --state-dir need --control-plane URL"
            )
        yield None
        return
    refs = [parse_reference(name, settings.model_aliases) for name in options.models]
    if not any(ref.kind == "registry" for ref in refs):
        raise ConfigurationError(
            "--control-plane needs a model from there, such as --models registry:NAME@production"
        )
    try:
        from octomil.compose_device import open_node_device
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"--control-plane needs the package {error.name!r}, which is not installed"
        ) from error
    say_of_device = partial(_say_of, "device")
    with open_node_device(settings, device, say_of_device, follows_all=follows_all) as itself:
        yield itself


def key_of(settings: Settings) -> tuple[str, ...]:
    """Return the key that clients are asked for where no flag names one; empty if there is none."""
    return () if settings.serve_key is None else (settings.serve_key,)


def _with_engine(name: str, engine: str | None, settings: Settings) -> str:
    """Return a reference that says which engine runs it, where `name` does not say so itself.

    Raises:
        ConfigurationError: that engine cannot run it.
    """
    if engine is None or has_scheme(name):
        return name
    if engine != _LOCAL_ENGINE:
        return f"{engine}:{name}"
    if not _is_gguf(parse_reference(name, settings.model_aliases)):
        raise ConfigurationError(f"{engine} runs GGUF files only, not {name!r}; leave --engine out")
    return name


def _is_gguf(ref: ModelRef) -> bool:
    if ref.kind == "catalog":
        return CATALOG[ref.target].format == "gguf"
    return ref.has_files and not (ref.file or ref.target).endswith(".onnx")


def _say_of(who: str, line: str) -> None:
    say(f"[{who}] {line}")


def _show_examples(url: str, *, is_wanted: bool) -> None:
    if is_wanted:
        say(_EXAMPLES.format(url=url))
