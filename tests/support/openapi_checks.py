"""Requests made from the OpenAPI document, as schemathesis' command line makes them.

As a program it starts a control plane, has it asked, and prints what came of it as JSON.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from octomil.control.api.not_served import CALLS
from support.control import API, printed_key, upping
from support.ollama_api import ollama_api
from support.serving import ServeProcess

REFUSED_BY_MEANING = {
    "GET /organisations": "a cursor comes from the page before",
    "GET /audit": "a cursor comes from the page before",
    "GET /devices": "a cursor comes from the page before",
    "POST /models/{model_id}/versions/upload": "a file is a model",
    "POST /uploads/{upload_id}/complete": "a digest is that of the bytes",
    "GET /models/{model_id}/rollouts/{rollout_id}/affected-devices": (
        "a cursor comes from the page before"
    ),
    "POST /models/{model_id}/rollouts": "shares and bounds grow, and have an end",
    "POST /models/{model_id}/rollouts/{rollout_id}/advance": "a step leads somewhere",
    "POST /webhooks": "a URL is one that may be called",
    "PUT /devices/{device_id}/profile": "a model is there once",
    "POST /devices/{device_id}/routing": "numbers are in order, and counts do not contradict",
    "GET /routing/series": "a range begins before it ends, and has so many points",
    "GET /routing/summary": "a range begins before it ends",
    "GET /inference/quality": "a time begins before it ends, and has so many points",
    "GET /inference/regressions": "a time begins before it ends",
    "POST /devices/{device_id}/usage": "no more requests fail than there were",
}
"""What the document cannot say; for these a valid request may be answered with 400 or 415."""

NOT_SERVED = {f"{method} {path}" for method, path in CALLS}
"""Known calls that are answered with 501, as the document says; to the checks that is a fault."""

TAKE_THE_KEY_AWAY = {"POST /keys/{key_id}/revoke", "POST /keys/{key_id}/rotate"}
"""They may hit the key that the other requests are made with."""

_PROGRAM = """
import schemathesis
from schemathesis.cli import schemathesis as command

@schemathesis.hook
def before_call(context, case, **options):
    if case.meta.phase.name == "stateful" and case.meta.generation.mode.is_positive:
        case.headers.pop("Idempotency-Key", None)

command()
"""
"""In a scenario a key may be one of another's, whose answer tells of what is gone by now."""

_ACCEPTED = ("2xx", "3xx", "401", "403", "404", "409", "422")
"""For valid requests: 422 says that the idempotency key was used for another one."""

_REFUSED = ("400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429")
"""For requests that are not valid: 413, too, since a list may be too long to be read at all."""

_STEPS = 30
"""Of a scenario: with schemathesis' six, those that make something are seldom followed."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a run.

    Attributes:
        operations: that were asked.
        cases: requests made from the document.
        links: between operations that scenarios went along.
        links_in_all: those of the document, and those that schemathesis infers from it.
        output: what was printed.
    """

    is_clean: bool
    operations: int
    cases: int
    links: int
    links_in_all: int
    output: str


@contextmanager
def unlimited(folder: Path) -> Iterator[ServeProcess]:
    """Run a control plane without rate limits, beside a backend that has next to no models."""
    with ollama_api() as api:
        flags = ("--rate-limit", "off", "--failure-rate-limit", "off")
        with upping(folder, *flags, env={"OLLAMA_BASE_URL": api.url}) as served:
            yield served


def checked(
    served: ServeProcess,
    folder: Path,
    *,
    phases: Iterable[str],
    examples: int,
    seed: int,
    only: Collection[str] = (),
    repeat_s: int | None = None,
) -> Outcome:
    """Ask a control plane as its document allows and forbids, and have every answer checked.

    Args:
        served: the control plane, without rate limits.
        folder: where files may be left.
        phases: of schemathesis.
        examples: requests of each operation that are made up by chance, and scenarios.
        seed: of the chance.
        only: operations; without them all but those that take the key away.
        repeat_s: so long, in seconds, scenarios are begun anew: a run of them ends as soon as the
            control plane does not answer the same twice, since it is no longer the same.
    """
    settings_file = folder / "schemathesis.toml"
    settings_file.write_text(_settings(() if only else TAKE_THE_KEY_AWAY), encoding="utf-8")
    command = [
        *("--config-file", settings_file, "run", f"{served.url}{API}/openapi.json"),
        *("-H", f"Authorization: Bearer {printed_key(served)}"),
        *("--phases", ",".join(phases), "--max-examples", examples, "--seed", seed),
        *("--no-color", "--generation-database", "none", "--suppress-health-check", "too_slow"),
        *(f"--include-name={_full(name)}" for name in only),
        *(() if repeat_s is None else ("--max-time", repeat_s)),
    ]
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *map(str, command)],
        capture_output=True, text=True, timeout=3600, check=False, cwd=folder,
    )  # fmt: skip
    return Outcome(
        is_clean=done.returncode == 0,
        operations=_number(r"Tested: +(\d+)", done.stdout),
        cases=_number(r"(\d+) generated", done.stdout),
        links=_number(r"API Links: +(\d+) covered", done.stdout),
        links_in_all=_number(r"API Links: .+ (\d+) total", done.stdout),
        output=done.stdout + done.stderr,
    )


def _settings(left_out: Iterable[str]) -> str:
    no_fault = 'not_a_server_error = { expected-statuses = ["2xx", "3xx", "4xx", "501"] }'
    accepted = json.dumps([*_ACCEPTED, "501"])
    accepts = f"positive_data_acceptance = {{ expected-statuses = {accepted} }}"
    lines = [f"checks.positive_data_acceptance.expected-statuses = {json.dumps(_ACCEPTED)}\n"]
    lines += [f"checks.negative_data_rejection.expected-statuses = {json.dumps(_REFUSED)}\n"]
    lines += [f"phases.stateful.max-steps = {_STEPS}\n"]
    for names, settings in (
        (left_out, "enabled = false"),
        (REFUSED_BY_MEANING, "checks.positive_data_acceptance.enabled = false"),
        (
            NOT_SERVED,
            f"checks = {{ {no_fault}, {accepts} }}",
        ),
    ):
        lines += [f'[[operations]]\ninclude-name = "{_full(name)}"\n{settings}\n' for name in names]
    return "".join(lines)


def _full(name: str) -> str:
    return name.replace(" ", " " + API, 1)


def _number(pattern: str, output: str) -> int:
    found = re.search(pattern, output)
    return int(found[1]) if found else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, required=True)
    parser.add_argument("--scenarios-s", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with unlimited(folder / "data") as served:
            ask = partial(checked, served, folder, examples=options.examples, seed=options.seed)
            alone = ask(phases=("coverage", "fuzzing"))
            linked = ask(phases=("stateful",), repeat_s=options.scenarios_s)
        tracebacks = sum("Traceback" in line for line in served.errors)
    print(json.dumps({"alone": asdict(alone), "linked": asdict(linked), "tracebacks": tracebacks}))


if __name__ == "__main__":
    main()
