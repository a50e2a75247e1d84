"""`octomil device profile`: measure this machine, and tell the control plane."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from octomil.cli.device_options import device_options
from octomil.config import Settings
from octomil.device.options import DeviceOptions
from octomil.errors import MissingDependencyError

if TYPE_CHECKING:
    from octomil.device.hardware import Hardware
    from octomil.device.session import Session
    from octomil.wire.placement import MeasuredModel, ProfileUpload


@click.command("profile")
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@device_options("--server", "The control plane.  [default: OCTOMIL_API_BASE]", polls=False)
@click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Of the processor, for each model.  [default: the cores that are granted]",
)
@click.option("--no-upload", is_flag=True, help="Measure and tell; ask no control plane.")
@click.option("--json", "as_json", is_flag=True, help="Print the profile as JSON.")
def command(
    models: tuple[str, ...],
    *,
    threads: int | None,
    no_upload: bool,
    as_json: bool,
    device: DeviceOptions,
) -> None:
    """Measure how fast this machine runs models, and upload it for `POST /api/v1/route`.

    Each MODEL that is here is run by the engine that would serve it, one after the other; without
    one, all that are here. What was looked for and not found is told as well. While `device run`
    uses the same folder, this is refused: their tokens are the same.
    """
    settings = device.settings()
    try:
        with ExitStack() as opened:
            session = None
            if not no_upload:  # at once, so that nobody waits for figures that then go nowhere
                session = opened.enter_context(_session(device, settings))
                session.token()
            profile = _measure(models, settings, threads)
            if as_json:
                click.echo(json.dumps(asdict(profile), indent=2))
            if session is not None:
                _upload(session, profile)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"`octomil device profile` needs the package {error.name!r}, which is not installed"
        ) from error


@contextmanager
def _session(device: DeviceOptions, settings: Settings) -> "Iterator[Session]":
    from octomil.device.session import open_session
    from octomil.device.state import open_state_folder

    with (
        open_state_folder(device.folder(settings)) as state,
        closing(open_session(state, settings, device)) as session,
    ):
        yield session


def _measure(names: Sequence[str], settings: Settings, threads: int | None) -> "ProfileUpload":
    from octomil.device.hardware import look_at_hardware
    from octomil.device.profiling import NotMeasured, chosen_models, measured, profile_of
    from octomil.engines.cores import is_busy, load_average, look_at_cores
    from octomil.engines.llama_cpp.accelerators import accelerator
    from octomil.models.pull import ModelStore

    hardware, runs_on = look_at_hardware(), accelerator()
    threads = threads or look_at_cores().granted
    chosen = chosen_models(ModelStore(settings).list(), names, settings)
    _tell_hardware(hardware)
    if is_busy(load := load_average(), threads):
        _say(f"other programs are at work (load average {load:.1f}); measure again when they rest")
    found: list[MeasuredModel] = []
    for each in measured(chosen, settings, threads):
        if isinstance(each, NotMeasured):
            _say(f"{each.name} is not measured: {each.reason}")
        else:
            found.append(each)
            _tell_model(each, threads, runs_on)
    if not found:
        _say("no model was measured; `octomil pull smollm2-135m` fetches a small one")
    return profile_of(hardware, runs_on, threads, found)


def _tell_hardware(hardware: "Hardware") -> None:
    _say(f"{hardware.platform}, {hardware.memory_bytes // 2**20:,} MB of memory")
    for finding in (hardware.gpu, hardware.npu):
        state = "" if finding.found else "not found: "
        _say(f"{finding.what}: {state}{finding.detail}")


def _tell_model(model: "MeasuredModel", threads: int, runs_on: str) -> None:
    memory = "" if model.memory_mb is None else f", {model.memory_mb:,.0f} MB of memory"
    speed = f"{model.tokens_per_s:.3g} tokens/s, the first after {model.first_token_ms:.0f} ms"
    how = f"{model.engine} on the {runs_on}, {threads} threads"
    _say(f"{model.model_id}: {speed}{memory} ({how})")


def _upload(session: "Session", profile: "ProfileUpload") -> None:
    from octomil.sdk.resources.placement import Placement

    kept = Placement(session.api, "").put_profile(session.device_id, asdict(profile))
    pace = "" if kept.ms_per_mb is None else f", {kept.ms_per_mb:.3g} ms for a MB of weights"
    _say(f"uploaded for {session.identifier} ({kept.device_id}): {kept.device_class}{pace}")


def _say(line: str) -> None:
    """Tell people; standard output is for the profile."""
    click.echo(f"[profile] {line}", err=True)
