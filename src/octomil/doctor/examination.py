"""All checks, in the order of the report."""

import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import packages_distributions
from pathlib import Path

from octomil.config import Settings
from octomil.doctor import machine, models, network, software
from octomil.doctor.finding import Finding, problem
from octomil.engines.cores import look_at_cores
from octomil.errors import ConfigurationError, OctomilError

_HOST, _PORT = "127.0.0.1", 8080
"""What `octomil serve` takes by default; its own module needs packages that may be missing."""


def examine(
    environ: Mapping[str, str] = os.environ,  # noqa: TID251 - for names of variables, and for pip
    *,
    measure: bool = False,
    host: str = _HOST,
    port: int = _PORT,
) -> Iterator[Finding]:
    """Look at this machine and yield findings as they come in.

    Args:
        environ: the environment.
        measure: load each local chat model and tell its speed.
        host: the address whose port is tried.
        port: the port that is tried.
    """
    settings, faults = read_settings(environ)
    with ThreadPoolExecutor(max_workers=4) as threads:
        answers = [  # asked in the background, because each may take seconds
            threads.submit(network.check_index, environ),
            threads.submit(network.check_hub, settings.hf_endpoint),
            threads.submit(network.check_ollama, settings.ollama_base_url),
            threads.submit(network.check_openai, settings.openai_api_endpoint),
        ]
        yield from _examine_software(environ)
        yield from faults
        yield from software.check_variables(environ)
        yield from models.check_aliases(settings)
        yield from _examine_machine(settings.cache_dir, host, port)
        for answer in answers:
            yield answer.result()
    yield from _examine_models(settings, measure=measure)


def read_settings(environ: Mapping[str, str]) -> tuple[Settings, list[Finding]]:
    """Read the settings; one that cannot be read is a finding, and its default is taken."""
    faults: list[Finding] = []
    kept = dict(environ)
    while True:
        try:
            return Settings.from_env(kept), faults
        except ConfigurationError as error:
            culprit = next((name for name in kept if _is_unreadable(name, kept[name])), None)
            if culprit is None:
                raise
            faults.append(problem("settings", f"{culprit}: {error}", f"correct or unset {culprit}"))
            del kept[culprit]


def _is_unreadable(name: str, value: str) -> bool:
    try:
        Settings.from_env({name: value})
    except ConfigurationError:
        return True
    return False


def _examine_software(environ: Mapping[str, str]) -> Iterator[Finding]:
    yield software.check_python(sys.version_info[:3], sys.executable)
    yield from software.check_import_names(packages_distributions())
    requirements = software.declared_requirements()
    versions = software.installed_versions(r.name for r in requirements)
    # The one that a wrong processor ends goes last, so that it takes no other along.
    names = sorted(versions, key=lambda name: (name == "xllamacpp", name))
    imports = software.try_imports(names, environ)
    yield from software.check_packages(requirements, versions, imports)
    build = software.check_llama_cpp(imports.system_info, machine.cpu_flags())
    if build is not None:
        yield build


def _examine_machine(cache_dir: Path, host: str, port: int) -> Iterator[Finding]:
    yield machine.check_cores(look_at_cores())
    yield machine.check_memory(machine.free_memory())
    yield machine.check_cache_dir(cache_dir)
    yield machine.check_disk(machine.free_disk(cache_dir))
    yield machine.check_temporary_folder()
    yield machine.check_port(host, port)


def _examine_models(settings: Settings, *, measure: bool) -> Iterator[Finding]:
    try:
        found = models.local_models(settings)
    except (OctomilError, OSError) as error:
        yield problem("models", str(error), f"look at {settings.cache_dir}")
        return
    yield models.check_models(found)
    if measure:
        threads = look_at_cores().granted
        yield from models.measure_models(
            found, settings, threads=threads, free_bytes=machine.free_memory()
        )
