import json

import pytest
from click.testing import CliRunner

from octomil.cli.models import command


@pytest.fixture
def run(tmp_path):
    def run(*arguments, **environ):
        environ = {"OCTOMIL_CACHE_DIR": str(tmp_path), **environ}
        return CliRunner().invoke(command, arguments, env=environ, catch_exceptions=False).stdout

    return run


def test_the_table_names_every_model_as_the_documents_do(run):
    lines = {line.split()[0]: line.split() for line in run().splitlines()}

    assert lines["name"] == ["name", "parameters", "size", "licence", "kind", "local"]
    assert lines["smollm-360m"] == ["smollm-360m", "360M", "386", "MB", "Apache-2.0", "chat", "-"]
    assert lines["phi-4-mini"][1] == "3.8B"
    assert lines["llama-3.2-3b"][1] == "3B"


def test_an_alias_shows_what_it_stands_for(run):
    table = run(OCTOMIL_MODEL_ALIASES="phi-4-mini=smollm2-135m,mine=all-minilm")

    assert "phi-4-mini → smollm2-135m" in table
    assert "mine → all-minilm-l6-v2" in table
    (line,) = [line for line in table.splitlines() if line.startswith("phi-4-mini")]
    assert "135M" in line


def test_json_has_one_object_per_model(run):
    rows = json.loads(run("--json"))

    (row,) = [row for row in rows if row["name"] == "qwen2.5-coder-1.5b"]
    assert (row["parameters"], row["size_bytes"]) == (1_500_000_000, 1_117_320_768)
    assert (row["local"], row["path"], row["supports_tools"]) == (False, None, True)
