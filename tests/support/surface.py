"""The table of documented names, and what each of its rows says about the code.

`shortfalls` tells where the code differs from a row; no difference means that the name works.
"""

import ast
import functools
import importlib.util
import inspect
import re
import tomllib
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, replace
from importlib import import_module
from typing import Any, get_type_hints

from support.documents import ROOT

TABLE = ROOT / "tests" / "surface.toml"

ABSENT, WORKS = "absent", "works"

_PYTHON = re.compile(
    r"(?:(?P<kind>async|classmethod|staticmethod) )?(?P<path>[\w.]+)"
    r"(?P<arguments>\(.*\))?(?: = (?P<default>.+))?"
)


@dataclass(frozen=True)
class Row:
    """A documented name.

    Attributes:
        seed: number of the document, such as `"002"`.
        kind: `python`, `keys`, `metrics`, `http`, `fields`, `headers`, `cli` or `environment`.
        text: the name as the table writes it.
        state: `absent`, `works`, or the node id of the test that verifies it.
        homes: modules that a Python name is imported from.
    """

    seed: str
    kind: str
    text: str
    state: str
    homes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.text} [{self.state}]"

    @property
    def is_verified(self) -> bool:
        return self.state not in (ABSENT, WORKS)

    @property
    def words(self) -> set[str]:
        """The parts of the name that its document must hold."""
        if self.kind == "python":
            found = _PYTHON.fullmatch(self.text)
            parameters = _parameters(found["arguments"]) if found["arguments"] else []
            return {found["path"].rpartition(".")[2], *(name for name, _ in parameters)} - {"_"}
        if self.kind in ("keys", "fields"):
            return {re.split(r": | > ", self.text)[1].rpartition(".")[2]}
        if self.kind == "http":
            return {self.text.split()[1]}
        return {self.text.split()[-1] if self.kind == "cli" else self.text.split()[0]}


@dataclass(frozen=True)
class Section:
    """The names under one heading of a document."""

    seed: str
    title: str
    rows: tuple[Row, ...]

    def __str__(self) -> str:
        return f"{self.seed} {self.title}"


def read_table() -> list[Section]:
    """The whole table."""
    sections = tomllib.loads(TABLE.read_text(encoding="utf-8"))["section"]
    return [_section(entry) for entry in sections]


def _section(entry: dict[str, Any]) -> Section:
    seed, title, homes = entry["seed"], entry["title"], tuple(entry.get("homes", ()))
    tests = entry.get("tests", "")
    rows = (
        Row(seed, kind, text, tests + state if state.startswith("::") else state, homes)
        for kind in CHECKS
        for text, state in entry.get(kind, {}).items()
    )
    unknown = entry.keys() - CHECKS.keys() - {"seed", "title", "homes", "tests"}
    assert not unknown, f"{title}: {unknown} is no kind of name"
    return Section(seed, title, tuple(rows))


def shortfalls(row: Row) -> list[str]:
    """List where the code differs from a row; empty if the name works as documented."""
    return list(CHECKS[row.kind](row))


def is_anywhere(row: Row) -> bool:
    """Whether the name works as documented in at least one of its homes."""
    homes = [(home,) for home in row.homes] or [()]
    return any(not shortfalls(replace(row, homes=one)) for one in homes)


def has_test(node_id: str) -> bool:
    """Whether a test of that name can be collected."""
    path, *names = node_id.split("::")
    if not (ROOT / path).is_file() or not names:
        return False
    body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    for name in names:
        found = next((node for node in body if getattr(node, "name", None) == name), None)
        if found is None:
            return False
        body = found.body
    return names[-1].startswith("test_")


def _python(row: Row) -> Iterator[str]:
    found = _PYTHON.fullmatch(row.text)
    assert found, f"{row.text!r} cannot be read"
    for home in row.homes:
        try:
            value, owner = resolve(home, found["path"].split("."))
        except (AttributeError, ImportError) as err:
            yield f"{home}: {err}"
            continue
        if found["kind"]:
            yield from _kind_differs(found["kind"], value)
        if found["arguments"]:
            yield from _signature_differs(value, owner, _parameters(found["arguments"]))
        if found["default"]:
            yield from _default_differs(value, found["default"])


def resolve(home: str, path: list[str]) -> tuple[Any, Any]:
    """Return what a dotted name stands for, and the class it belongs to, if any."""
    owner, value = None, getattr(import_module(home), path[0])
    for name in path[1:]:
        if isinstance(value, property | functools.cached_property):
            value = get_type_hints(getattr(value, "fget", None) or value.func)["return"]
        owner, value = value, _member(value, name)
    return value, owner


def _member(owner: Any, name: str) -> Any:
    fields = getattr(owner, "__dataclass_fields__", {})
    if name in fields:
        return fields[name]
    for base in inspect.getmro(owner):
        if name in inspect.get_annotations(base):
            return inspect.get_annotations(base)[name]
    return inspect.getattr_static(owner, name)


def _kind_differs(kind: str, value: Any) -> Iterator[str]:
    kinds = {"classmethod": classmethod, "staticmethod": staticmethod}
    if kind == "async":
        if not inspect.iscoroutinefunction(value):
            yield "it is not async"
    elif not isinstance(value, kinds[kind]):
        yield f"it is no {kind}"


def _signature_differs(
    value: Any, owner: Any, wanted: list[tuple[str, ast.expr | None]]
) -> Iterator[str]:
    function = getattr(value, "__func__", value)
    parameters = dict(inspect.signature(function).parameters)
    if owner is not None and not isinstance(value, staticmethod):
        del parameters[next(iter(parameters))]
    names = iter(parameters)
    for name, default in wanted:
        found = next((n for n in names if name in (n, "_")), None)
        if found is None:
            yield f"no parameter {name!r} in that place; it has {list(parameters)}"
            return
        if default is not None and not _is_same(parameters[found].default, default):
            yield f"the default of {name!r} is {parameters[found].default!r}"
    if not inspect.isclass(value):  # of a class, each row names one parameter
        listed = {name for name, _ in wanted}
        for name, parameter in parameters.items():
            variable = parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
            required = parameter.default is parameter.empty and not variable
            if required and name not in listed and "_" not in listed:
                yield f"it also needs {name!r}"


def _default_differs(value: Any, default: str) -> Iterator[str]:
    factory = getattr(value, "default_factory", MISSING)
    actual = value.default if factory is MISSING else factory()
    if not _is_same(actual, ast.parse(default, mode="eval").body):
        yield f"its default is {actual!r}"


def _is_same(actual: object, documented: ast.expr) -> bool:
    try:
        return bool(actual == ast.literal_eval(documented))
    except ValueError:  # a name, such as an enumeration's member
        return str(actual) == ast.unparse(documented)


def _parameters(arguments: str) -> list[tuple[str, ast.expr | None]]:
    """Read `(a, b=1, *c, **d)` as names and defaults."""
    spec = ast.parse(f"def f{arguments}: ...").body[0].args
    positional = [*spec.posonlyargs, *spec.args]
    padding = [None] * (len(positional) - len(spec.defaults))
    found = [(a.arg, d) for a, d in zip(positional, [*padding, *spec.defaults], strict=True)]
    found += [(spec.vararg.arg, None)] if spec.vararg else []
    found += [(a.arg, d) for a, d in zip(spec.kwonlyargs, spec.kw_defaults, strict=True)]
    return found + ([(spec.kwarg.arg, None)] if spec.kwarg else [])


def _keys(row: Row) -> Iterator[str]:
    """A key of a dictionary is there as soon as what returns the dictionary is."""
    owner = row.text.partition(": ")[0]
    yield from _python(Row(row.seed, "python", owner, row.state, row.homes))


def _fields(row: Row) -> Iterator[str]:
    """A field of a request or an answer is there as soon as its endpoint is."""
    yield from _http(Row(row.seed, "http", row.text.partition(" > ")[0], row.state))


def _http(row: Row) -> Iterator[str]:
    if row.text not in _endpoints():
        yield "there is no such endpoint"


def _headers(row: Row) -> Iterator[str]:
    if row.text.lower() not in _texts():
        yield "no code of ours names it"


def _environment(row: Row) -> Iterator[str]:
    name, _, default = row.text.partition(" = ")
    known = _variables()
    if name not in known and name.lower() not in _texts():
        yield "no code of ours reads it"
    elif name in known and default and not _is_default(known[name], default):
        yield f"its default is {known[name]!r}"


def _is_default(ours: str, documented: str) -> bool:
    try:
        return float(ours) == float(documented)
    except ValueError:
        return ours == documented


def _cli(row: Row) -> Iterator[str]:
    from octomil.cli.main import COMMANDS

    _, command, *flags = row.text.split()
    if command not in COMMANDS:
        yield f"there is no command {command!r}"
        return
    options = import_module(f"octomil.cli.{command}").command.params
    known = {name for option in options for name in option.opts}
    yield from (f"{command} has no {flag}" for flag in flags if flag not in known)


def _metrics(row: Row) -> Iterator[str]:
    name, kind = row.text.split()
    try:
        lines = _exposition()
    except (AttributeError, ImportError) as err:
        yield str(err)
        return
    if f"# TYPE {name} {kind}" not in lines:
        yield "it is not exported with this type"


CHECKS = {
    "python": _python,
    "keys": _keys,
    "metrics": _metrics,
    "http": _http,
    "fields": _fields,
    "headers": _headers,
    "cli": _cli,
    "environment": _environment,
}


@functools.cache
def _exposition() -> list[str]:
    inference = import_module("epochly.inference")
    cost = inference.CostEstimator("T4")
    return inference.PrometheusExporter.export(inference.InferenceMetrics(), cost).splitlines()


@functools.cache
def _endpoints() -> set[str]:
    """Every endpoint that the generated documentation lists."""
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    listed = generate.endpoints() + generate.control_endpoints()
    return set(re.findall(r"`([A-Z]+ /[^`]*)`", listed))


@functools.cache
def _variables() -> dict[str, str]:
    from octomil.config import variable_table

    return {name: default for name, default, _ in variable_table()}


@functools.cache
def _texts() -> set[str]:
    """Every text constant of the code, in lower case."""
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                value = node.value
                text = value if isinstance(value, str) else value.decode("utf-8", "replace")
                found.add(text.lower())
    return found
