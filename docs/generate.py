# ruff: noqa: INP001 - a program, not a package
"""Fills the generated parts of README.md and docs/*.md from the code.

`python docs/generate.py` rewrites what stands between `<!-- generated: NAME -->` and
`<!-- end -->`; with `--check` it writes nothing, shows what is stale, and fails if anything is.
No network, no clock: the same code always gives the same text.
"""

import ast
import difflib
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import click
from starlette.applications import Starlette
from starlette.routing import Route

from epochly.inference.config import setting_table
from epochly.inference.config import variable_table as epochly_variable_table
from epochly.inference.metrics import InferenceMetrics
from epochly.inference.metrics.instruments import Metric
from epochly.inference.metrics.prometheus import families
from octomil import errors as error_tree
from octomil.cli.main import COMMANDS, help_text
from octomil.cli.serve import command as serve_command
from octomil.config import variable_table
from octomil.control.app import framework_app
from octomil.control.backend_metrics import BackendMetrics
from octomil.control.metrics import ControlMetrics
from octomil.control.scopes import SCOPES
from octomil.engines.pool import EnginePool
from octomil.errors import InvalidRequestError, OctomilError
from octomil.models.catalog import CATALOG, SHORT_NAMES, format_parameters
from octomil.models.partial import format_size
from octomil.placement.table import CLASSES, PLATFORMS
from octomil.rollouts.limits import Limits
from octomil.serve import errors as serve_errors
from octomil.serve.app import build_app
from octomil.serve.gauges import gauges
from octomil.serve.node import Node
from octomil.serve.options import ServeOptions
from octomil.serve.recorder import Recorder
from octomil.serve.stats import RoutingStats

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
OPENAPI = ROOT / "docs" / "openapi.json"

_BLOCK = re.compile(
    r"(<!-- generated: (?P<name>[\w-]+) -->\n)(?P<body>.*?)(<!-- end -->)", re.DOTALL
)
_OPENING = "<!-- generated: "
_HELP_WIDTH = 92

_ROUTE_WORDS = {
    "/v1/chat/completions": "Answer a conversation, whole or as a stream.",
    "/v1/completions": "Continue a text, whole or as a stream.",
    "/v1/embeddings": "Turn texts into vectors of unit length.",
    "/v1/models/{name:path}": "One model by name.",
    "/v1/routing/stats": "How requests were distributed, and what that is estimated to have saved.",
    "/v1/queue/stats": "How many requests run, wait, and were turned away, by model.",
}
"""Where a handler's docstring only repeats its path."""

_REFUSALS = {
    "invalid_http": "what arrived is no HTTP request",
    "request_headers_too_large": "the request line and headers are larger than 64 KiB",
    "invalid_type": "a field is missing or has the wrong type; `param` names it",
    "invalid_json": "the body is not valid JSON, or is nested too deeply",
    "invalid_value": "a field is outside its limits; `param` names it",
    "not_found": "there is no such path",
    "method_not_allowed": "the path does not take that method",
    "shutting_down": "the node is being stopped",
    "request_timeout": "the body did not arrive in time (`--body-timeout`)",
    "invalid_api_key": "the key is missing or wrong",
}
"""Where the message or the exception says less than the reader of a table needs."""

_Refusal: TypeAlias = tuple[int, str, str]  # status, code, message

_PEERS = {
    "breaker": "pybreaker, with `async` purgatory",
    "gateway": "LiteLLM's proxy",
    "llama_cpp": "xllamacpp called in process",
    "metrics": "prometheus_client",
    "redaction": "`re`, or Presidio where the row says so",
}


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(_cell(cell) for cell in line) + " |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def first_line(doc: str | None) -> str:
    """Return a docstring's summary."""
    return (inspect.cleandoc(doc).splitlines() or [""])[0] if doc else ""


def packages() -> str:
    """One line per package, from its docstring."""
    rows = []
    for path in sorted(SOURCE.rglob("__init__.py")):
        name = ".".join(path.parent.relative_to(SOURCE).parts)
        doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        rows.append((f"`{name}`", first_line(doc)))
    return table(("package", "what it is"), rows)


def models() -> str:
    """The catalog."""
    short = {name: key for key, name in SHORT_NAMES.items()}
    rows = [
        (
            f"`{name}`" + (f" (`{short[name]}`)" if name in short else ""),
            format_parameters(entry.parameters),
            format_size(entry.size_bytes),
            entry.license,
            entry.kind,
            f"{entry.context_length:,}",
            "yes" if entry.supports_tools else "no",
            "; ".join(str(source) for source in entry.sources),
            "in the catalog" if len(entry.sha256) == len(entry.files) else "recorded on first pull",
        )
        for name, entry in CATALOG.items()
    ]
    header = ("name", "parameters", "size", "licence", "kind", "context", "tools", "from", "digest")
    return table(header, rows)


def serve_options() -> str:
    """The flags of `octomil serve`."""
    meanings = _attributes(ServeOptions)
    rows = []
    for option in serve_command.params:
        if not isinstance(option, click.Option):
            continue
        flag = max(option.opts, key=len)
        metavar = "" if option.is_flag else f" {_metavar(option)}"
        meaning = option.help or meanings[str(option.name)].capitalize() + "."
        default = _default(option)
        if found := re.search(r" *\[default: (.*?)\]$", meaning):
            meaning, default = meaning[: found.start()], found[1]
        rows.append((f"`{flag}{metavar}`", default, meaning))
    return table(("flag", "default", "meaning"), rows)


def _attributes(kind: type) -> dict[str, str]:
    """Read the `Attributes:` part of a class's docstring."""
    part = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")[2]
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", part, re.MULTILINE)
    return {name: " ".join(text.split()).rstrip(".") for name, text in found}


def _metavar(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return "|".join(option.type.choices) if len(option.type.choices) > 1 else "NAME"
    kinds = (("Int", "N"), ("Float", "SECONDS"))
    named = next((word for kind, word in kinds if kind in type(option.type).__name__), "TEXT")
    return option.metavar or named


def _default(option: click.Option) -> str:
    if option.is_flag or option.default in (None, ()) or not option.show_default:
        return ""
    return f"{option.default:g}" if isinstance(option.default, float) else str(option.default)


def _empty_node() -> Node:
    return Node(models={}, pool=EnginePool(print), recorder=Recorder(RoutingStats(), None))


def endpoints() -> str:
    """The node's routes."""
    app: Any = build_app(_empty_node())
    while not isinstance(app, Starlette):  # the application is inside its middleware
        inner = [value for value in vars(app).values() if callable(value)]
        app = inner[-1]
    rows = []
    for route in app.routes:
        assert isinstance(route, Route)
        methods = sorted((route.methods or set()) - {"HEAD"})
        words = _ROUTE_WORDS.get(route.path) or _summary(route.endpoint)
        path = route.path.replace(":path}", "}")
        rows.append((f"`{' '.join(methods)} {path}`", words))
    unknown = set(_ROUTE_WORDS) - {route.path for route in app.routes if isinstance(route, Route)}
    if unknown:
        raise SystemExit(f"docs/generate.py describes routes that do not exist: {sorted(unknown)}")
    return table(("endpoint", "what it does"), rows)


def _summary(endpoint: Any) -> str:
    text = first_line(inspect.getdoc(endpoint))
    text = re.sub(r"^`[A-Z]+ [^`]*`[:,] ?", "", text)
    return text[:1].upper() + text[1:]


def errors() -> str:
    """Every error the node answers with: the refusals, then the table of exceptions."""
    rows: dict[tuple[int, str], str] = {}
    for status, code, message in _refusals():
        rows.setdefault((status, code), message)
    rows[404, "not_found"] = rows[405, "method_not_allowed"] = ""
    for kind, status, _, code in serve_errors._TABLE:  # noqa: SLF001 - this table is the document
        words = "a fault of the node itself" if kind is OctomilError else first_line(kind.__doc__)
        rows.setdefault((status, code), words)
    rows[400, "invalid_request"] = first_line(InvalidRequestError.__doc__)
    context = error_tree.ContextLengthError("")
    rows[context.status, str(context.code)] = first_line(type(context).__doc__)
    return table(
        ("status", "code", "when"),
        (
            (str(status), f"`{code}`", _sentence(_REFUSALS.get(code) or words))
            for (status, code), words in sorted(rows.items())
        ),
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _refusals() -> Iterator[_Refusal]:
    """Find every `HttpError(status, message, code=…)` in the serving package."""
    for path in sorted((SOURCE / "octomil" / "serve").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _refusals_of(function)


def _refusals_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[_Refusal]:
    texts = {
        target.id: node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "HttpError":
            code = next((k.value for k in node.keywords if k.arg == "code"), None)
            status = node.args[0]
            if isinstance(status, ast.Constant) and isinstance(code, ast.Constant):
                message = node.args[1]
                if isinstance(message, ast.Name):
                    message = texts.get(message.id, message)
                yield int(str(status.value)), str(code.value), _template(message)


def _template(message: ast.expr) -> str:
    """Return a message with an ellipsis for each value in it."""
    parts = message.values if isinstance(message, ast.JoinedStr) else [message]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)


def metrics() -> str:
    """What `GET /metrics` shows."""
    node = _empty_node()
    return _metric_table([*node.recorder.metrics, node.breakers.transitions, *gauges(node, {})])


def control_metrics() -> str:
    """What the control plane's `GET /metrics` shows."""
    limited, polls = {"refused": 0, "unshared": 0}, {"held": 0, "turned_away": 0}
    of_inference = BackendMetrics().shown({}, 0)
    return _metric_table([*ControlMetrics().shown({}, 0, limited, polls), *of_inference])


@cache
def control_openapi() -> dict[str, Any]:
    """The document that the control plane describes itself with."""
    return framework_app().openapi()


def control_endpoints() -> str:
    """The control plane's routes."""
    rows = [
        (f"`{method.upper()} {path}`", _sentence(first_line(operation["description"])))
        for path, operations in control_openapi()["paths"].items()
        for method, operation in operations.items()
    ]
    return table(("endpoint", "what it does"), rows)


def control_scopes() -> str:
    """What keys can be good for."""
    return table(("scope", "lets its holder"), [(f"`{k}`", v) for k, v in SCOPES.items()])


def control_errors() -> str:
    """The control plane's error codes."""
    rows = [
        (str(kind.status), f"`{code}`", first_line(kind.__doc__))
        for code, kind in error_tree.API_ERRORS.items()
    ]
    return table(("status", "code", "when"), rows)


def epochly_metrics() -> str:
    """What `PrometheusExporter` shows."""
    return _metric_table(families(InferenceMetrics()))


def _metric_table(found: Iterable[Metric]) -> str:
    rows = [
        (f"`{m.name}`", m.kind, ", ".join(f"`{label}`" for label in m.labels), m.doc) for m in found
    ]
    return table(("metric", "kind", "labels", "meaning"), rows)


def variables() -> str:
    """What the environment can say."""
    rows = [(f"`{name}`", f"`{default}`" if default else "", doc)
            for name, default, doc in variable_table()]  # fmt: skip
    return table(("variable", "default", "meaning"), rows)


def epochly_settings() -> str:
    """What can be set in Epochly."""
    rows = [
        (f"`{path}`", f"`{variable}`", f"`{default}`" if default else "", allowed, meaning)
        for path, variable, default, allowed, meaning in setting_table()
    ]
    return table(("setting", "variable", "default", "allowed", "meaning"), rows)


def epochly_variables() -> str:
    """What else Epochly reads from the environment."""
    rows = [
        (f"`{name}`", f"`{default}`" if default else "", meaning)
        for name, default, meaning in epochly_variable_table()
    ]
    return table(("variable", "default", "meaning"), rows)


def cli() -> str:
    """The help of every command."""
    parts = [f"```text\n{help_text()}```\n"]
    for name in COMMANDS:
        command: click.Command = import_module(f"octomil.cli.{name}").command
        parts.append(_help(name, command))
        inner = command.commands if isinstance(command, click.Group) else {}
        parts += [_help(f"{name} {word}", inner[word]) for word in sorted(inner)]
    return "".join(parts)


def _help(name: str, command: click.Command) -> str:
    context = click.Context(
        command,
        info_name=f"octomil {name}",
        terminal_width=_HELP_WIDTH,
        max_content_width=_HELP_WIDTH,
    )
    return f"\n## octomil {name}\n\n```text\n{command.get_help(context)}\n```\n"


def bench() -> str:
    """The figures measured against a peer; nothing where there are none."""
    rows, runs = [], []
    for path in sorted((ROOT / "bench" / "results").glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        compared = [row for row in result["rows"] if row["ratio"]]
        if result["quick"] or not compared or result["name"] not in _PEERS:
            continue
        peer = _PEERS[result["name"]]
        rows += [
            (
                row["metric"],
                *(f"{_number(row[side])} {row['unit']}" for side in ("ours", "peer")),
                f"{row['ratio']:.3g}x",
                peer,
            )
            for row in compared
        ]
        runs.append(_conditions(result))
    if not rows:
        return ""
    head = ("what", "Octomil", "peer", "times better", "the peer is")
    words = "Both sides were measured in turn in one run; `bench/results` holds every round."
    return f"## Measured\n\n{table(head, rows)}\n{words} {' '.join(runs)}\n"


def _conditions(result: dict[str, Any]) -> str:
    machine, others = result["machine"], result.get("other_jobs_cores")
    busy = "" if others is None else f", while other jobs used {others:.1f} of them"
    return (
        f"`{result['name']}`: {result['date'][:10]}, {machine['cpu_model']}, "
        f"{machine['cores']} cores{busy}."
    )


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"


def _results(name: str, peer: str, floor: str) -> str:
    """Every row of the last run of a bench, with its notes; nothing where there was none."""
    path = ROOT / "bench" / "results" / f"{name}.json"
    if not path.exists():
        return ""
    result = json.loads(path.read_text(encoding="utf-8"))
    sides = {"ours": "ours", "peer": peer, "floor": floor}
    shown = [side for side in sides if any(row[side] is not None for row in result["rows"])]
    rows = [
        (
            f"{row['metric']}{' [' + row['unit'] + ']' if row['unit'] else ''}",
            *("" if row[side] is None else _number(row[side]) for side in shown),
            " ".join(words[1:]) if (words := (row["budget"] or "").split()) else "",
        )
        for row in result["rows"]
    ]
    notes = "".join(f"- {row['metric']}: {row['note']}\n" for row in result["rows"] if row["note"])
    head = ("", *(sides[side] for side in shown), "budget")
    return f"{table(head, rows)}\n{notes}\n{_conditions(result)}"


def routing() -> str:
    """Quality and latency of routing."""
    return _results("routing", "word count", "chance")


def escalation() -> str:
    """What escalating costs and gains."""
    return _results("escalation", "at random", "small model alone")


def request_queue() -> str:
    """What the queue costs a request."""
    return _results("queue", "async-batcher", "asyncio.Semaphore")


def polls() -> str:
    """What a poll, a registration and a start of the control plane take."""
    return _results("polls", "", "bare Starlette")


def devices() -> str:
    """What lists of a million devices take."""
    return _results("devices", "", "bare Starlette, one page's bytes")


def uploads() -> str:
    """What a file takes on its way into the control plane and out of it."""
    return _results("uploads", "one loop", "before")


def rollouts() -> str:
    """What becomes of good and bad versions in simulated fleets."""
    return _results("rollouts", "", "")


def orchestrators() -> str:
    """What orchestrators that act at the same moment do to a rollout."""
    return _results("orchestrators", "", "")


def orchestrator_crashes() -> str:
    """What killing an orchestrator does to rollouts."""
    return _results("orchestrator_crashes", "", "")


def steering() -> str:
    """What the whole control plane makes of a bad version in a simulated fleet."""
    return _results("steering", "", "")


def stream_timing() -> str:
    """How near to the truth the figures of streams are."""
    return _results("stream_timing", "", "the truth")


def regressions() -> str:
    """How often versions are flagged, rightly and wrongly."""
    return _results("regressions", "", "")


def buckets() -> str:
    """What it takes to tell who of a million devices is in a rollout."""
    return _results("buckets", "", "bare SHA-256, or one comparison")


def rollout_gates() -> str:
    """What the gates of a rollout tolerate if nothing else is said."""
    limits = Limits()
    meanings = {
        "devices": "share of devices that cannot run the version, or do not stay healthy",
        "errors": "share of requests that fail, as a device sees it on average",
        "latency": "geometric mean of the latencies",
    }
    rows = []
    for gate, meaning in meanings.items():
        excess, unit = getattr(limits, gate), " %" if gate == "latency" else " points"
        bounds = (f"+{100 * each:g}{unit}" for each in (excess.tolerated, excess.unacceptable))
        rows.append((f"`{gate}`", meaning, *bounds))
    return table(("gate", "what it compares", "tolerated", "unacceptable"), rows)


def device_classes() -> str:
    """What a device of each class has, and holds."""
    rows = [
        (f"`{name}`", f"{each.memory_mb:,} MB", f"{each.model_mb:,} MB", f"{each.slowness:g}")
        for name, each in CLASSES.items()
    ]
    return table(("class", "memory from", "model up to", "times slower"), rows)


def device_platforms() -> str:
    """What runs models on each platform."""
    rows = []
    for name, each in PLATFORMS.items():
        engines = (
            "" if part is None else f"`{part.engine}`, {part.ms_per_mb:g}"
            for part in (each.npu, each.gpu, each.cpu)
        )
        rows.append((f"`{name}`", f"`{each.format}`", *engines))
    return table(("platform", "format", "neural processor", "graphics", "processor"), rows)


BLOCKS: dict[str, Callable[[], str]] = {
    "bench": bench,
    "buckets": buckets,
    "cli": cli,
    "control-endpoints": control_endpoints,
    "control-errors": control_errors,
    "control-metrics": control_metrics,
    "control-scopes": control_scopes,
    "device-classes": device_classes,
    "device-platforms": device_platforms,
    "devices": devices,
    "endpoints": endpoints,
    "epochly-metrics": epochly_metrics,
    "epochly-settings": epochly_settings,
    "epochly-variables": epochly_variables,
    "errors": errors,
    "escalation": escalation,
    "metrics": metrics,
    "models": models,
    "orchestrator-crashes": orchestrator_crashes,
    "orchestrators": orchestrators,
    "packages": packages,
    "polls": polls,
    "regressions": regressions,
    "request-queue": request_queue,
    "rollout-gates": rollout_gates,
    "rollouts": rollouts,
    "routing": routing,
    "serve-options": serve_options,
    "steering": steering,
    "stream-timing": stream_timing,
    "uploads": uploads,
    "variables": variables,
}


def fill(text: str, name: str) -> str:
    """Return `text` with every generated block renewed.

    Raises:
        SystemExit: a block is unknown, or is not closed.
    """
    filled = _BLOCK.sub(lambda found: found[1] + _content(found["name"], name) + found[4], text)
    if text.count(_OPENING) != len(_BLOCK.findall(text)):
        raise SystemExit(f"{name}: a generated block has no <!-- end -->")
    return filled


def _content(block: str, name: str) -> str:
    if block not in BLOCKS:
        known = ", ".join(BLOCKS)
        raise SystemExit(f"{name}: no block is called {block!r}; there are {known}")
    text = BLOCKS[block]()
    return f"\n{text}\n" if text else ""


def _openapi_text() -> str:
    return json.dumps(control_openapi(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def documents(root: Path = ROOT) -> list[Path]:
    """List the documents that may hold generated blocks."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def main(arguments: Sequence[str]) -> int:
    """Rewrite the documents, or compare them; return the exit status."""
    if set(arguments) - {"--check"}:
        raise SystemExit("usage: python docs/generate.py [--check]")
    stale = False
    for path in [*documents(), OPENAPI]:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        name = str(path.relative_to(ROOT))
        after = _openapi_text() if path == OPENAPI else fill(before, name)
        if after == before:
            continue
        stale = True
        if "--check" in arguments:
            lines = (before.splitlines(keepends=True), after.splitlines(keepends=True))
            sys.stdout.writelines(difflib.unified_diff(*lines, name, f"{name} (generated)"))
        else:
            path.write_text(after, encoding="utf-8")
            sys.stdout.write(f"{name}: rewritten\n")
    if "--check" not in arguments:
        return 0
    sys.stdout.write("run `make docs`\n" if stale else "")
    return int(stale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
