"""Python, the packages that serving needs, who owns our import names, and what the settings say."""

import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, distribution, requires, version

from octomil.config import variable_table
from octomil.doctor.finding import Finding, note, ok, problem
from octomil.errors import ConfigurationError

DISTRIBUTION = "octomil-oss"
IMPORT_NAMES = ("epochly", "octomil")
OLDEST_PYTHON = (3, 11)

OTHER_VARIABLES = ("OCTOMIL_TEST_CACHE_DIR",)
"""Variables that other places read: the tests."""

_IMPORT_S = 120.0
_IMPORTER = """
import importlib, sys
from importlib.metadata import packages_distributions
modules = {}
for module_name, owners in sorted(packages_distributions().items(), reverse=True):
    if not module_name.startswith("_"):
        modules.update(dict.fromkeys(owners, module_name))
for name in sys.argv[1:]:
    print("trying", name, flush=True)
    try:
        module = importlib.import_module(modules.get(name, name))
    except BaseException as error:
        print("failed", name, f"{type(error).__name__}: {error}".partition("\\n")[0], flush=True)
    else:
        print("imported", name, flush=True)
        if name == "xllamacpp":
            print("system", name, module.get_system_info().strip(), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Requirement:
    """A package and the oldest version of it that serving works with."""

    name: str
    minimum: str

    def __str__(self) -> str:
        return f"{self.name}>={self.minimum}"


@dataclass(frozen=True, slots=True)
class ImportReport:
    """How importing went, in a process of its own: a package built for another CPU ends it.

    Attributes:
        failed: import name → reason.
        system_info: what llama.cpp says about its own build; empty where unknown.
    """

    failed: Mapping[str, str] = field(default_factory=dict)
    system_info: str = ""


def check_python(found: Sequence[int], executable: str) -> Finding:
    """Judge the interpreter."""
    text = ".".join(map(str, found[:3]))
    if tuple(found[:2]) >= OLDEST_PYTHON:
        return ok("python", f"{text} ({executable})")
    oldest = ".".join(map(str, OLDEST_PYTHON))
    return problem("python", f"{text} ({executable})", f"use Python {oldest} or newer")


def serve_requirements(lines: Iterable[str], platform: str = sys.platform) -> list[Requirement]:
    """Read the `serve` extra out of a distribution's metadata.

    Example:
        >>> lines = ["click>=8.2", "aiohttp>=3.13; extra == 'serve'"]
        >>> [str(requirement) for requirement in serve_requirements(lines)]
        ['aiohttp>=3.13']
    """
    found = []
    for line in lines:
        match = re.match(r"([\w.-]+)>=([\d.]+) *; *(.*extra == ['\"]serve['\"].*)", line)
        if match and not ("sys_platform != 'win32'" in match[3] and platform == "win32"):
            found.append(Requirement(match[1], match[2]))
    return found


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of the distributions that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def declared_requirements() -> list[Requirement]:
    """Return what our own metadata declares; nothing when run from a bare source tree."""
    try:
        return serve_requirements(requires(DISTRIBUTION) or ())
    except PackageNotFoundError:
        return []


def try_imports(names: Sequence[str], environ: Mapping[str, str]) -> ImportReport:
    """Import packages, by the names they are installed under, in a child process and report."""
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter, a fixed program
            [sys.executable, "-P", "-c", _IMPORTER, *names],
            capture_output=True,
            text=True,
            timeout=_IMPORT_S,
            check=False,
            # onnxruntime reports to its makers as soon as it is imported, unless told not to.
            env={**environ, "ORT_DISABLE_TELEMETRY": "1"},
        )
    except subprocess.TimeoutExpired:
        return ImportReport(dict.fromkeys(names, f"not imported within {_IMPORT_S:g} s"))
    return read_import_report(names, done.stdout.splitlines(), done.returncode)


def read_import_report(names: Sequence[str], lines: Sequence[str], status: int) -> ImportReport:
    """Make sense of what the importing child said, and of how it ended."""
    failed, imported, system_info, last = {}, set(), "", ""
    for line in lines:
        word, _, rest = line.partition(" ")
        name, _, text = rest.partition(" ")
        if word == "trying":
            last = name
        elif word == "failed":
            failed[name] = text
        elif word == "imported":
            imported.add(name)
        elif word == "system":
            system_info = text
    for name in names:
        if name not in failed and name not in imported:
            reason = f"importing it ended Python with status {status}"
            failed[name] = reason if name == last else f"not tried after {last} failed"
    return ImportReport(failed, system_info)


def check_packages(
    requirements: Sequence[Requirement], versions: Mapping[str, str], imports: ImportReport
) -> Iterator[Finding]:
    """Judge the packages of the `serve` extra: one finding per fault, one for all that is well."""
    fine = []
    for requirement in requirements:
        name, found = requirement.name, versions.get(requirement.name)
        hint = f"python -m pip install '{requirement}'"
        if found is None:
            yield problem(name, "not installed; `octomil serve` needs it", hint)
        elif _numbers(found) < _numbers(requirement.minimum):
            yield problem(name, f"version {found} is older than {requirement.minimum}", hint)
        elif name in imports.failed:
            again = f"python -m pip install --force-reinstall '{requirement}'"
            yield problem(name, f"{found} cannot be imported: {imports.failed[name]}", again)
        else:
            fine.append(f"{name} {found}")
    if fine:
        yield ok("packages", f"{len(fine)} of the serve extra: {', '.join(fine)}")


def check_llama_cpp(system_info: str, cpu_flags: Collection[str]) -> Finding | None:
    """Judge whether llama.cpp's build fits the processor; None where nothing is known."""
    built = set(re.findall(r"(\w+) = 1", system_info))
    if not built:
        return None
    used = " ".join(sorted(built & _VECTOR_FLAGS)) or "no vector instructions"
    lacking = [flag for flag in sorted(built & set(_CPU_NAMES)) if not _has(cpu_flags, flag)]
    if lacking and cpu_flags:
        return problem(
            "llama.cpp",
            f"built for {used}; this CPU has no {' '.join(lacking)}",
            "serve ollama:NAME or openai:NAME models, or build xllamacpp for this CPU",
        )
    spare = "AVX512F" not in built and _has(cpu_flags, "AVX512F")
    remark = "; this CPU's AVX-512 is not used by this build" if spare else ""
    return ok("llama.cpp", f"built for {used}{remark}")


def check_import_names(owners: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """Judge whether other distributions own our import names.

    Args:
        owners: import name → distributions, as `importlib.metadata.packages_distributions` has it.
    """
    foreign = {
        owner: name
        for name in IMPORT_NAMES
        for owner in owners.get(name, ())
        if owner.lower().replace("_", "-") != DISTRIBUTION
    }
    for owner, name in sorted(foreign.items()):
        yield problem(
            "import names",
            f"the package {owner!r} is not ours and installs a module {name!r} too",
            f"python -m pip uninstall {owner}",
        )
    if not foreign:
        yield ok("import names", f"{' and '.join(IMPORT_NAMES)} are {DISTRIBUTION}'s alone")


def require_own_names() -> None:
    """Refuse to run beside a distribution that bears one of our import names.

    Raises:
        ConfigurationError: its modules lie where ours do, so that either may be the one imported.
    """
    for name in IMPORT_NAMES:
        try:
            found = distribution(name).version
        except PackageNotFoundError:
            continue
        raise ConfigurationError(
            f"the package {name!r} {found} is installed here; it is not ours and has modules of "
            f"the same names. Remove it with `python -m pip uninstall {name}`, then install "
            f"{DISTRIBUTION} again."
        )


def check_variables(names: Iterable[str]) -> Iterator[Finding]:
    """Judge the names of environment variables: a misspelt one is silently without effect."""
    known = sorted({row[0] for row in variable_table()} | set(OTHER_VARIABLES))
    unknown = sorted(n for n in names if n.startswith("OCTOMIL_") and n not in known)
    for name in unknown:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        yield note("environment", f"{name} is set, and nothing reads it", hint)
    if not unknown:
        yield ok("environment", "no unknown OCTOMIL_ variable")


_CPU_NAMES = {"AVX2": "avx2", "FMA": "fma", "F16C": "f16c", "AVX": "avx", "AVX512F": "avx512f"}
_VECTOR_FLAGS = {*_CPU_NAMES, "NEON", "ARM_FMA", "SVE", "DOTPROD", "MATMUL_INT8", "AMX_INT8"}


def _has(cpu_flags: Collection[str], flag: str) -> bool:
    return _CPU_NAMES[flag] in cpu_flags


def _numbers(text: str) -> tuple[int, ...]:
    """Return a version's leading numbers, which is all that a comparison with `>=` needs here."""
    return tuple(map(int, re.findall(r"\d+", text.partition("+")[0])[:4]))
