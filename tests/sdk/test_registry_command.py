"""`octomil registry` against a real `octomil up`."""

import json
from pathlib import Path

import pytest

from support.model_files import onnx_file, safetensors_file
from support.sdk import Place, octomil


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "m.safetensors"
    path.write_bytes(safetensors_file(w=[2.0, 7.0]))
    return path


@pytest.fixture
def run(place: Place, tmp_path: Path):
    """Run a command that must succeed; return what it printed."""

    def run_words(*words: str) -> str:
        done = octomil("registry", *words, **place.env, OCTOMIL_STATE_DIR=str(tmp_path / "state"))
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_words


def refused(place: Place, *words: str) -> str:
    done = octomil("registry", *words, **place.env)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_model_goes_there_and_comes_back(run, file: Path, tmp_path: Path):
    pushed = run("push", str(file), "--name", "there", "--version", "1.0.0", "--publish")
    run("push", str(file), "--name", "there", "--version", "1.1.0")
    assert pushed == "there@1.0.0: published, safetensors\n"
    assert run("publish", "there@1.1.0") == "there@1.1.0: published\n"
    assert run("alias", "there@1.0.0", "production") == "there@production is 1.0.0\n"
    assert run("alias", "there", "production") == "there@production is 1.1.0\n"

    back = tmp_path / "back.bin"
    said = run("pull", "there@production", "--to", str(back))

    assert said.startswith("there@1.1.0: pulled and verified")
    assert back.read_bytes() == file.read_bytes()
    shown = run("show", "there")
    assert shown.splitlines()[1].split() == [
        "version", "status", "formats", "size", "created", "digest", "aliases",
    ]  # fmt: skip
    newest = shown.splitlines()[2].split()
    assert (newest[0], newest[-1]) == ("1.1.0", "production")
    history = run("history", "there", "production").splitlines()
    assert [line.split()[-3] for line in history] == ["version", "1.1.0", "1.0.0"]
    assert run("deprecate", "there@1.1.0") == "there@1.1.0: deprecated\n"
    assert run("alias", "there@1.0.0", "production", "--delete") == "there@production is no more\n"


def test_programs_get_json(run, file: Path, tmp_path: Path):
    push = run("push", str(file), "--name", "js", "--version", "1.0.0", "--publish", "--json")
    version = json.loads(push)
    alias = json.loads(run("alias", "js@1.0.0", "canary", "--json"))
    shown = json.loads(run("show", "js", "--json"))
    pulled = json.loads(run("pull", "js@canary", "--to", str(tmp_path / "b"), "--json"))

    assert (version["status"], alias["version"]) == ("published", "1.0.0")
    assert shown["versions"][0]["digest"] == version["digest"]
    assert shown["aliases"][0]["name"] == "canary"
    assert pulled == {"name": "js", "version": "1.0.0", "path": str(tmp_path / "b")}
    assert "js" in [model["name"] for model in json.loads(run("list", "--json"))]
    assert json.loads(run("history", "js", "canary", "--json"))[0]["version"] == "1.0.0"


def test_the_list_is_a_table(run, file: Path):
    run("push", str(file), "--name", "listed", "--version", "1.0.0", "--use-case", "demo")

    header, *rows = run("list").splitlines()

    assert header.split() == ["name", "framework", "use", "case", "updated", "id"]
    assert ["listed", "safetensors", "demo"] in [row.split()[:3] for row in rows]


def test_a_typo_is_answered_with_what_was_meant(place: Place, run, file: Path):
    run("push", str(file), "--name", "sentiment", "--version", "1.0.0")

    assert "did you mean 'sentiment'?" in refused(place, "show", "sentimnet")
    assert "did you mean `push`?" in refused(place, "psuh")
    assert "one of list, show" in refused(place, "xyzzy")


@pytest.mark.parametrize("reference", ["@production", "mnist@", "@"])
def test_a_reference_that_names_nothing_is_refused(place: Place, reference: str):
    assert "write NAME" in refused(place, "pull", reference)


def test_a_version_is_published_once_and_stays(place: Place, run, file: Path):
    run("push", str(file), "--name", "once", "--version", "1.0.0", "--publish")

    assert "1.0.0" in refused(place, "push", str(file), "--name", "once", "--version", "1.0.0")


@pytest.mark.parametrize(
    ("content", "number", "why"),
    [
        (None, "1.0.0", "does not exist"),
        (safetensors_file(w=[1.0]), "1.0", "no semantic version"),
        (b"\\documentclass{article}", "1.0.0", "no model file that is known"),
    ],
    ids=["no file", "no version", "no model"],
)
def test_a_push_that_cannot_end_well_makes_no_model(
    place: Place, run, tmp_path: Path, content: bytes | None, number: str, why: str
):
    path = tmp_path / "m.bin"
    if content is not None:
        path.write_bytes(content)

    said = refused(place, "push", str(path), "--name", "unmade", "--version", number)

    assert why in " ".join(said.split())
    assert "unmade" not in run("list")


def test_a_file_in_another_format_is_added(run, file: Path, tmp_path: Path):
    graph = tmp_path / "m.onnx"
    graph.write_bytes(onnx_file())
    run("push", str(file), "--name", "added", "--version", "1.0.0")

    said = run("add-file", "added@1.0.0", str(graph))
    again = run("add-file", "added@1.0.0", str(graph), "--format", "onnx", "--json")

    assert said == "added@1.0.0: ready, onnx, safetensors\n"
    assert [each["name"] for each in json.loads(again)["files"]] == ["m.onnx", "m.safetensors"]


def test_lineage_is_said_and_told(run, file: Path):
    for number in ("1.0.0", "2.0.0"):
        run("push", str(file), "--name", "bred", "--version", number)
    run("publish", "bred@1.0.0")

    assert run("parents", "bred@2.0.0", "bred") == "bred@2.0.0 comes from bred@1.0.0\n"

    told = [line.split() for line in run("lineage", "bred@2.0.0").splitlines()[1:]]
    assert [row[:3] for row in told] == [["ancestor", "bred@1.0.0", "published"]]
    below = json.loads(run("lineage", "bred@1.0.0", "--json"))
    assert (below["ancestors"], below["descendants"][0]["version"]) == ([], "2.0.0")
    assert run("parents", "bred@2.0.0") == "bred@2.0.0 comes from nothing\n"


def test_a_model_is_deleted_by_who_is_sure(place: Place, run, file: Path):
    run("push", str(file), "--name", "doomed", "--version", "1.0.0")

    asked = octomil("registry", "delete", "doomed", stdin="n\n", **place.env)
    assert asked.returncode == 130
    assert "Delete doomed with all its versions?" in asked.stderr
    assert "doomed" in run("list")
    assert run("delete", "doomed", "--yes") == "doomed is no more\n"
    assert "doomed" not in run("list")
    assert "no model 'doomed'" in refused(place, "delete", "doomed", "--yes")


def test_a_server_that_is_not_there_is_named(place: Place):
    done = octomil("registry", "list", OCTOMIL_API_BASE="http://127.0.0.1:9", OCTOMIL_API_KEY="x")

    assert done.returncode == 1
    assert "http://127.0.0.1:9/api/v1/models" in done.stderr
    assert "octomil up" in done.stderr
    assert "Traceback" not in done.stderr
