"""The generated parts are up to date, and the figures in the prose are the code's."""

import subprocess
import sys

import pytest

from octomil.engines.llama_cpp.spec import WorkerSpec
from octomil.routing.confidence import SURE, WINDOW_TOKENS
from octomil.routing.router import QueryRouter
from octomil.routing.tiers import assign_tiers
from octomil.serve.limits import MAX_BODY_BYTES
from support.documents import ROOT, documents

GENERATOR = ROOT / "docs" / "generate.py"


def generate(*arguments: str, root=ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, root / "docs" / "generate.py", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def copy(tmp_path):
    """A copy of what the generator reads and writes."""
    import shutil

    for name in ("docs", "src", "bench/results"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "README.md", tmp_path)
    return tmp_path


def test_nothing_is_stale():
    done = generate("--check")

    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


def test_what_is_stale_is_shown_and_then_rewritten(copy):
    page = copy / "docs" / "serve.md"
    fresh = page.read_text(encoding="utf-8")
    page.write_text(fresh.replace("| `--port N` | 8080 |", "| `--port N` | 80 |"), encoding="utf-8")

    checked = generate("--check", root=copy)
    written = generate(root=copy)

    assert checked.returncode == 1
    assert "-| `--port N` | 80 |" in checked.stdout
    assert "+| `--port N` | 8080 |" in checked.stdout
    assert (written.returncode, written.stdout) == (0, "docs/serve.md: rewritten\n")
    assert page.read_text(encoding="utf-8") == fresh


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("<!-- generated: nonsense -->\n<!-- end -->\n", "no block is called 'nonsense'"),
        ("<!-- generated: cli -->\n", "has no <!-- end -->"),
    ],
)
def test_a_broken_block_is_refused(copy, text, complaint):
    (copy / "docs" / "extra.md").write_text(text, encoding="utf-8")

    done = generate("--check", root=copy)

    assert done.returncode == 1
    assert complaint in done.stderr


def test_no_results_leave_no_table(copy):
    for path in (copy / "bench" / "results").iterdir():
        path.unlink()

    assert generate(root=copy).returncode == 0
    assert "Measured" not in (copy / "README.md").read_text(encoding="utf-8")


def test_figures_in_the_prose_are_those_of_the_code():
    text = " ".join((ROOT / "docs" / "serve.md").read_text(encoding="utf-8").split())
    low, high = QueryRouter(assign_tiers(["one"])).thresholds
    batch_tokens = WorkerSpec.__dataclass_fields__["batch_tokens"].default

    assert f"Below {low:g} the query goes to tier 1, from {high:g} to tier 3" in text
    assert f"the first {WINDOW_TOKENS} tokens are held back" in text
    assert f"the answer is right falls below {SURE:g}" in text
    assert f"A body may have {MAX_BODY_BYTES // 2**20} MiB" in text
    assert f"at most {batch_tokens} tokens" in text


def test_every_document_is_plain_text():
    assert all(path.read_text(encoding="utf-8").endswith("\n") for path in documents())


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("POST", "/v1/chat/completions", 400, "invalid_json"),
    ],
)
def test_errors_that_no_table_of_the_code_holds_are_given(
    documents_node, method, path, status, code
):
    import httpx

    reply = httpx.request(
        method, documents_node.url + path, content=b"{" if method == "POST" else b"", timeout=120
    )

    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert f"| {status} | `{code}` |" in (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")
