"""The API is what its OpenAPI document says: requests made from the document, all checks.

Against a process, over HTTP: nothing between client and service is left out.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import positive_data_acceptance

from support.control import API, printed_key, upping
from support.serving import ServeProcess

EXAMPLES = 15
SCENARIOS = 30

REFUSED_BY_MEANING = {
    "POST /keys": "a scope is one of those that there are, and that the caller has",
    "POST /device-auth/bootstrap": "a scope is one of those that devices can have",
    "POST /device-auth/bootstrap-tokens": "a scope is one of those that devices can have",
    "GET /organisations": "a cursor comes from the page before",
    "GET /audit": "a cursor comes from the page before",
    "GET /devices": "a cursor comes from the page before",
    "POST /models/{model_id}/versions": "a version is a semantic one",
    "POST /models/{model_id}/versions/{version}/files": "a file is one that was uploaded",
    "POST /webhooks": "a URL is one that may be called",
}
"""What the document cannot say; for these a valid request may be answered with 400."""

NOT_SERVED = {
    "GET /models/{model_id}/optimized-config/{device_type}",
    "POST /models/{model_id}/optimize",
    "GET /models/{model_id}/compatibility",
    "POST /models/{model_id}/rollouts",  # by percentages
}
"""Known calls that are answered with 501, which the checks take for a fault."""

TAKE_THE_KEY_AWAY = {"POST /keys/{key_id}/revoke", "POST /keys/{key_id}/rotate"}
"""In a scenario they may hit the key that the others are made with."""

SOME = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    folder = tmp_path_factory.mktemp("openapi") / "data"
    with upping(folder, "--rate-limit", "off") as served:
        yield served
    assert not [line for line in served.errors if "Traceback" in line], served.errors[-30:]


@pytest.fixture(scope="module")
def schema(served: ServeProcess) -> Any:
    schema = schemathesis.openapi.from_url(f"{served.url}{API}/openapi.json")
    key = printed_key(served)

    @schema.auth()
    class ByKey:
        def get(self, case: Any, context: Any) -> str:
            return key

        def set(self, case: Any, data: str, context: Any) -> None:
            case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}

    return schema


def shortened(label: str) -> str:
    method, _, path = label.partition(" ")
    return f"{method} {path.removeprefix(API)}"


def failure_of(operation: Any) -> str | None:
    """What is not as the document says, if anything."""
    without = checks_left_out(operation.label)

    @given(case=operation.as_strategy())
    @SOME
    def check(case: Any) -> None:
        case.call_and_validate(excluded_checks=without)

    try:
        check()
    except (Failure, FailureGroup) as failure:
        return str(failure)
    return None


def checks_left_out(label: str) -> list[Any]:
    return [positive_data_acceptance] if shortened(label) in REFUSED_BY_MEANING else []


@pytest.mark.slow
def test_every_operation_is_as_the_document_says(schema: Any):
    operations = {shortened(o.label): o for o in (r.ok() for r in schema.get_all_operations())}
    checked = {name: failure_of(o) for name, o in operations.items() if name not in NOT_SERVED}

    assert {name: failure for name, failure in checked.items() if failure} == {}
    assert set(operations) >= set(REFUSED_BY_MEANING) | NOT_SERVED


@pytest.mark.slow
def test_what_one_call_makes_the_next_ones_can_use(served: ServeProcess, tmp_path: Path):
    """Scenarios along the links between operations, such as make, change, delete, get."""
    settings_file = tmp_path / "schemathesis.toml"
    settings_file.write_text(_operation_settings(), encoding="utf-8")
    command = [
        *("--config-file", settings_file, "run", f"{served.url}{API}/openapi.json"),
        *("-H", f"Authorization: Bearer {printed_key(served)}"),
        *("--phases", "stateful", "--max-examples", str(SCENARIOS)),
        *("--no-color", "--generation-database", "none"),
    ]
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *map(str, command)],
        capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    assert re.search(r"API Links: +[1-9]\d* covered", done.stdout), done.stdout


_PROGRAM = "from schemathesis.cli import schemathesis; schemathesis()"


def _operation_settings() -> str:
    left_out = NOT_SERVED | TAKE_THE_KEY_AWAY
    lines = [
        f'[[operations]]\ninclude-name = "{name.replace(" ", " " + API, 1)}"\n{setting}\n'
        for names, setting in (
            (left_out, "enabled = false"),
            (REFUSED_BY_MEANING, "checks.positive_data_acceptance.enabled = false"),
        )
        for name in names
    ]
    return "".join(lines)
