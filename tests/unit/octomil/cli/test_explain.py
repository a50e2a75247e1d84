"""`octomil route explain`: what people read, and what programs read."""

import json

from octomil.cli.main import main
from octomil.routing.router import QueryRouter
from octomil.routing.tiers import assign_tiers

TASKS = "Explain how compilers unroll loops. What is the capital of Peru? Also, calculate 3 + 4."


def run(capsys, *words):
    status = main(["route", *words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def explained(capsys, *words):
    return json.loads(run(capsys, "explain", *words, "--json")[1])


def test_explain_shows_tier_models_score_and_signals(capsys):
    status, out, _ = run(
        capsys, "explain", "Write a parser in Python", "--models", "tiny,middle,big"
    )

    assert status == 0
    assert "3 (quality)" in out
    assert "big → middle → tiny" in out
    assert "µs" in out
    for name in ("word count", "technical vocabulary", "code", "conversation depth"):
        assert name in out


def test_explain_without_models_names_none(capsys):
    _, out, _ = run(capsys, "explain", "hello")

    assert "1 (fast)" in out
    assert "models" not in out


def test_explain_shows_the_answer_where_no_model_is_needed(capsys):
    _, out, _ = run(capsys, "explain", "What is 15% of 240?")
    _, text, _ = run(capsys, "explain", "What is 15% of 240?", "--json")
    found = json.loads(text)

    assert "36.0" in out
    assert "signal" not in out
    assert (found["tier_number"], found["answer"], found["method"]) == (0, "36.0", "percentage")
    assert found["score"] is None


def test_explain_as_json_tells_the_same(capsys):
    _, out, _ = run(capsys, "explain", "hello", "--models", "a,b", "--system", "Rules.", "--json")
    found = json.loads(out)

    assert (found["tier"], found["model"], found["fallback_chain"]) == ("fast", "a", ["b"])
    assert 0 <= found["score"] < 0.3
    assert found["routing_latency_us"] > 0
    signals = {each["name"]: each for each in found["signals"]}
    assert signals["instructions"]["contribution"] > 0 > signals["simple"]["contribution"]


def test_each_of_several_tasks_is_told(capsys):
    _, out, _ = run(capsys, "explain", TASKS, "--models", "tiny,big")
    head, first, second, third, signals = out.split("\n\n")

    assert "3 (quality)" in head
    assert first.startswith("task 1: Explain how compilers unroll loops")
    assert "big → tiny" in first
    assert second.startswith("task 2: What is the capital of Peru?")
    assert "tiny → big" in second
    assert "0 (deterministic)" in third
    assert "7" in third
    assert "asks for reasoning" in signals


def test_tasks_as_json_go_where_the_router_sends_them(capsys):
    found = explained(capsys, TASKS, "--models", "tiny,big")
    decision = QueryRouter(assign_tiers(["tiny", "big"])).route_decomposed(
        [{"role": "user", "content": TASKS}]
    )

    assert [task["model"] for task in found["tasks"]] == ["big", "tiny", "tier0"]
    assert [task["text"] for task in found["tasks"]] == [task.text for task in decision.tasks]
    assert found["tasks"][2]["answer"] == "7"
    assert (found["tasks"][2]["score"], found["tasks"][2]["tier_number"]) == (None, 0)
    assert (found["model"], found["tier"]) == ("big", "quality")
    assert found["score"] == found["tasks"][0]["score"] == round(decision.complexity_score, 4)


def test_signals_are_those_of_the_hardest_task(capsys):
    whole = explained(capsys, TASKS)
    alone = explained(capsys, "Explain how compilers unroll loops")

    assert whole["signals"] == alone["signals"]
    assert whole["score"] == alone["score"]


def test_a_task_that_needs_an_earlier_answer_says_so(capsys):
    text = "Write a haiku about tea and translate it to German"
    _, out, _ = run(capsys, "explain", text)

    assert "task 2 (needs the answer to 1): translate it to German" in out
    assert [task["depends_on"] for task in explained(capsys, text)["tasks"]] == [None, 0]


def test_tasks_that_are_all_exact_have_no_score(capsys):
    text = "Calculate 3 + 4. Then calculate 10 / 4."
    _, out, _ = run(capsys, "explain", text)
    found = explained(capsys, text)

    assert "signal" not in out
    assert [task["answer"] for task in found["tasks"]] == ["7", "2.5"]
    assert (found["tier_number"], found["score"], found["signals"]) == (0, None, [])


def test_one_task_is_no_list_of_tasks(capsys):
    _, out, _ = run(capsys, "explain", "hello")

    assert "task" not in out
    assert explained(capsys, "hello")["tasks"] == []
