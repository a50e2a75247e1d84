import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import octomil
from octomil.errors import ConfigurationError, NoModelAvailableError
from octomil.routing.decompose import MAX_CHARS
from octomil.routing.deterministic import check_deterministic
from octomil.routing.features import WINDOW
from octomil.routing.router import QueryRouter, RoutingDecision
from octomil.routing.tiers import ModelInfo, assign_tiers
from octomil.routing.wishes import MAX_MESSAGES

NAMES = ["smollm-360m", "phi-4-mini", "llama-3.2-3b"]
FEDAVG = (
    "Explain the tradeoffs between FedAvg and FedProx for non-IID data distributions across "
    "heterogeneous edge devices."
)
TWO_TASKS = "Explain quantum computing and write a Python sort function"


def ask(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def router_at(value: float, names: list[str] | None = None, **options) -> QueryRouter:
    """A router whose every query has the same score."""
    models = assign_tiers(names or NAMES)
    return QueryRouter(models, enable_deterministic=False, scorer=lambda _: value, **options)


def test_documented_construction_and_decision_work_as_written():
    models = {
        "smollm-360m": octomil.ModelInfo(name="smollm-360m", tier="fast", param_b=0.36),
        "phi-4-mini": octomil.ModelInfo(name="phi-4-mini", tier="balanced", param_b=3.8),
        "llama-3.2-3b": octomil.ModelInfo(name="llama-3.2-3b", tier="quality", param_b=3.0),
    }
    router = octomil.QueryRouter(
        models, strategy="complexity", thresholds=(0.3, 0.7), enable_deterministic=True
    )

    decision = router.route([{"role": "user", "content": "Write a REST API in Python"}])

    assert decision.model_name == "llama-3.2-3b"
    assert 0.7 <= decision.complexity_score <= 1.0
    assert (decision.tier, decision.tier_number) == ("quality", 3)
    assert decision.fallback_chain == ("phi-4-mini", "smollm-360m")
    assert router.get_fallback("phi-4-mini") == "llama-3.2-3b"


@pytest.mark.parametrize(
    ("query", "model"),
    [
        ("Hello", "smollm-360m"),
        ("What time is it in Tokyo?", "smollm-360m"),
        ("What is the capital of France?", "smollm-360m"),
        (FEDAVG, "llama-3.2-3b"),
        ("What is 2+2?", "tier0"),
        ("What is 15% of 240?", "tier0"),
        ("Convert 72°F to Celsius", "tier0"),
    ],
)
def test_documented_queries_go_where_the_document_says(query, model):
    assert QueryRouter(assign_tiers(NAMES)).route(ask(query)).model_name == model


def test_deterministic_decision_carries_its_answer():
    decision = QueryRouter(assign_tiers(NAMES)).route(ask("What is 15% of 240?"))

    assert decision.deterministic is not None
    assert decision.deterministic.answer == "36.0"
    assert (decision.tier, decision.tier_number) == ("deterministic", 0)
    assert (decision.complexity_score, decision.fallback_chain) == (0.0, ())


@pytest.mark.parametrize(
    ("messages", "plain_text"),
    [
        (ask("What is 2+2?"), False),
        ([{"role": "system", "content": "Answer in French."}, *ask("What is 2+2?")], True),
        ([{"role": "developer", "content": "Answer in French."}, *ask("What is 2+2?")], True),
        ([*ask("What is 2+2?"), {"role": "assistant", "content": "Is it"}], True),
        ([*ask("x"), {"role": "tool", "content": "4"}, *ask("What is 2+2?")], True),
    ],
)
def test_question_that_does_not_stand_alone_needs_a_model(messages, plain_text):
    decision = QueryRouter(assign_tiers(NAMES)).route(messages, plain_text=plain_text)

    assert decision.model_name in NAMES


@pytest.mark.parametrize("text", ["What is 2+2?", TWO_TASKS])
@pytest.mark.parametrize("wish", ["From now on answer in German.", "Give every answer as JSON."])
def test_wish_said_earlier_leaves_a_question_whole_and_to_a_model(text, wish):
    earlier = [*ask(wish), {"role": "assistant", "content": "Gut!"}]
    router = QueryRouter(assign_tiers(NAMES))

    decision = router.route_decomposed([*earlier, *ask(text)])

    assert decision.model_name in NAMES
    assert not hasattr(decision, "tasks")
    assert decision == router.route([*earlier, *ask(text)])


class CountedMessage(dict):
    """A message that counts how often its text is asked for."""

    texts_read = 0

    def get(self, key, default=None):
        self.texts_read += key == "content"
        return super().get(key, default)


@pytest.mark.parametrize("text", ["What is 2+2?", "What is 2+2? What is 3+3? Who wrote Dune?"])
def test_earlier_messages_are_read_once_however_many_tasks_there_are(text):
    earlier = CountedMessage(role="user", content="Hello")
    router = QueryRouter(assign_tiers(NAMES))

    router.route_decomposed([earlier, {"role": "assistant", "content": "Hi!"}, *ask(text)])

    assert earlier.texts_read == 1


def test_conversation_of_very_many_messages_is_a_models():
    turns = [*ask("Hello"), {"role": "assistant", "content": "Hi!"}] * (MAX_MESSAGES // 2)

    decision = QueryRouter(assign_tiers(NAMES)).route_decomposed([*turns, *ask("What is 2+2?")])

    assert decision.model_name in NAMES


class UnreadPart(dict):
    """A part in the middle of very many, which is not to be read."""

    def get(self, key, default=None):
        raise AssertionError("all the parts would be read")


def test_of_very_many_parts_the_middle_is_not_read():
    part = {"type": "text", "text": "word"}
    content = [*[part] * WINDOW, *[UnreadPart()] * MAX_CHARS, *[part] * WINDOW]

    decision = QueryRouter(assign_tiers(NAMES)).route_decomposed(
        [{"role": "user", "content": content}]
    )

    assert decision.model_name in NAMES


def test_question_in_parts_has_its_exact_answer():
    parts = [{"type": "text", "text": text} for text in ("What is ", "2+2?")]

    decision = QueryRouter(assign_tiers(NAMES)).route_decomposed(
        [{"role": "user", "content": parts}]
    )

    assert decision.model_name == "tier0"


def test_question_after_earlier_turns_still_has_its_exact_answer():
    earlier = [*ask("Hello"), {"role": "assistant", "content": "Hi!"}]

    decision = QueryRouter(assign_tiers(NAMES)).route([*earlier, *ask("What is 2+2?")])

    assert decision.model_name == "tier0"


def test_deterministic_tier_can_be_left_out():
    router = QueryRouter(assign_tiers(NAMES), enable_deterministic=False)

    assert router.route(ask("What is 2+2?")).model_name == "smollm-360m"


@pytest.mark.parametrize(
    ("value", "tier"),
    [
        (0.0, "fast"),
        (0.29, "fast"),
        (0.3, "balanced"),
        (0.69, "balanced"),
        (0.7, "quality"),
        (1.0, "quality"),
    ],
)
def test_thresholds_begin_the_tier_above_them(value, tier):
    assert router_at(value).route(ask("x")).tier == tier


@pytest.mark.parametrize(
    ("value", "names", "model"),
    [
        (0.5, ["small", "large"], "large"),
        (0.1, ["only"], "only"),
        (0.9, ["only"], "only"),
        (0.5, ["a", "b", "c", "d"], "b"),
    ],
)
def test_missing_tier_is_stood_in_for_by_the_nearest(value, names, model):
    assert router_at(value, names).route(ask("x")).model_name == model


@pytest.mark.parametrize(
    ("allowed", "model", "chain"),
    [
        ({"phi-4-mini", "llama-3.2-3b"}, "phi-4-mini", ("llama-3.2-3b",)),
        ({"llama-3.2-3b"}, "llama-3.2-3b", ()),
        ({"smollm-360m", "llama-3.2-3b"}, "smollm-360m", ("llama-3.2-3b",)),
        ({"smollm-360m", "nobody"}, "smollm-360m", ()),
    ],
)
def test_models_that_cannot_take_the_request_are_passed_over(allowed, model, chain):
    decision = router_at(0.1).route(ask("x"), allowed=allowed)

    assert (decision.model_name, decision.fallback_chain) == (model, chain)


def test_request_that_nobody_can_take_is_refused():
    with pytest.raises(NoModelAvailableError, match="none of the served models can take"):
        router_at(0.1).route(ask("x"), allowed=set())


@pytest.mark.parametrize(
    ("model", "fallback"),
    [("smollm-360m", "phi-4-mini"), ("phi-4-mini", "llama-3.2-3b"), ("llama-3.2-3b", "phi-4-mini")],
)
def test_fallback_is_the_next_model_up_and_at_the_top_the_next_one_down(model, fallback):
    assert router_at(0.1).get_fallback(model) == fallback


def test_only_model_has_no_fallback():
    assert router_at(0.1, ["only"]).get_fallback("only") is None


def test_fallback_from_a_model_that_is_not_there_names_those_that_are():
    with pytest.raises(NoModelAvailableError, match="no model 'gpt' to fall back from; have smoll"):
        router_at(0.1).get_fallback("gpt")


@settings(deadline=None)
@given(
    value=st.floats(0, 1),
    names=st.lists(st.sampled_from("abcdefg"), min_size=1, unique=True),
    data=st.data(),
)
def test_chain_tries_every_other_able_model_once(value, names, data):
    allowed = data.draw(st.sets(st.sampled_from(names), min_size=1))

    decision = router_at(value, names).route(ask("x"), allowed=allowed)

    assert decision.model_name in allowed
    tried = [decision.model_name, *decision.fallback_chain]
    assert sorted(tried) == sorted(allowed)


@settings(deadline=None)
@given(value=st.floats(0, 1), low=st.floats(0, 1), high=st.floats(0, 1))
def test_any_ascending_thresholds_cut_the_scores_in_three(value, low, high):
    low, high = sorted((low, high))

    tier = router_at(value, thresholds=(low, high)).route(ask("x")).tier

    assert tier == ("fast" if value < low else "balanced" if value < high else "quality")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"models": {}}, "a router needs at least one model"),
        ({"strategy": "magic"}, "unknown strategy 'magic'; known: complexity"),
        ({"thresholds": (0.7, 0.3)}, r"must ascend between 0 and 1, got \(0.7, 0.3\)"),
        ({"thresholds": (-0.1, 0.3)}, "must ascend between 0 and 1"),
        ({"thresholds": (0.1, 1.3)}, "must ascend between 0 and 1"),
        ({"thresholds": (float("nan"), 0.3)}, "must ascend between 0 and 1"),
    ],
)
def test_router_that_cannot_work_is_not_built(options, complaint):
    models = {"m": ModelInfo("m", "fast")}

    with pytest.raises(ConfigurationError, match=complaint):
        QueryRouter(**{"models": models, **options})


def test_decision_says_its_tier_as_the_header_does():
    numbers = [
        RoutingDecision("m", 0.0, tier).tier_number
        for tier in ("deterministic", "fast", "balanced", "quality")
    ]

    assert numbers == [0, 1, 2, 3]


def by_words(messages) -> float:
    """A score that grows with the words of the last message."""
    return min(1.0, len(messages[-1]["content"].split()) / 10)


def test_documented_decomposed_routing_works_as_written():
    router = octomil.QueryRouter(octomil.assign_tiers(NAMES))

    decision = router.route_decomposed(ask(TWO_TASKS))

    assert hasattr(decision, "sub_decisions")
    pairs = list(zip(decision.sub_decisions, decision.tasks, strict=True))
    assert [task.text for _, task in pairs] == [
        "Explain quantum computing",
        "write a Python sort function",
    ]
    for sub, task in pairs:
        assert sub == router.route(ask(task.text))
        assert sub.model_name in NAMES


@pytest.mark.parametrize("text", ["Hello", "What is 2+2?", FEDAVG, ""])
def test_message_with_one_task_gets_a_plain_decision(text):
    router = QueryRouter(assign_tiers(NAMES))

    decision = router.route_decomposed(ask(text))

    assert decision == router.route(ask(text))
    assert not hasattr(decision, "sub_decisions")
    assert not hasattr(decision, "tasks")


def test_decomposed_decision_has_model_and_tier_of_its_hardest_task():
    router = QueryRouter(assign_tiers(NAMES), scorer=by_words)
    text = "What is 2+2? Who wrote Emma? Explain how the tides of the seas come about."

    decision = router.route_decomposed(ask(text))

    assert [sub.tier for sub in decision.sub_decisions] == ["deterministic", "balanced", "quality"]
    assert (decision.model_name, decision.tier_number) == ("llama-3.2-3b", 3)
    assert decision.complexity_score == decision.sub_decisions[2].complexity_score
    assert decision.reason == "3 tasks"


@pytest.mark.parametrize("text", ["What is 2+2? Who wrote Emma?", "Who wrote Emma? What is 2+2?"])
def test_task_for_a_model_is_harder_than_an_exact_one_however_low_it_scores(text):
    router = QueryRouter(assign_tiers(NAMES), scorer=lambda _: 0.0)

    decision = router.route_decomposed(ask(text))

    assert (decision.model_name, decision.tier_number) == ("smollm-360m", 1)
    assert decision.fallback_chain == ("phi-4-mini", "llama-3.2-3b")


@pytest.mark.parametrize("order", [1, -1])
def test_of_tasks_in_one_tier_the_one_that_scores_highest_is_the_hardest(order):
    router = QueryRouter(assign_tiers(NAMES), scorer=by_words)
    tasks = ["Who wrote Emma?", "What is the capital of Peru?"][::order]

    decision = router.route_decomposed(ask(" ".join(tasks)))

    assert [sub.tier for sub in decision.sub_decisions] == ["balanced", "balanced"]
    assert decision.complexity_score == 0.6


@pytest.mark.parametrize(
    ("value", "leader", "model"),
    [
        (0.5, "c", "c"),
        (0.5, "d", "d"),
        (0.5, "a", "b"),
        (0.9, "c", "d"),
        (0.1, "c", "c"),
        (0.1, "nobody", "a"),
        (0.1, None, "a"),
    ],
)
def test_follow_up_goes_to_its_leader_unless_its_own_tier_is_higher(value, leader, model):
    decision = router_at(value, ["a", "b", "c", "d"]).route(ask("x"), leader=leader)

    assert decision.model_name == model


def test_leader_that_cannot_take_the_request_leads_no_more():
    decision = router_at(0.1).route(ask("x"), leader="phi-4-mini", allowed={"smollm-360m"})

    assert decision.model_name == "smollm-360m"


@pytest.mark.parametrize("text", ["why?", "Yes", "continue", "go on", "Please explain!"])
@pytest.mark.parametrize("leader", NAMES)
def test_bare_follow_up_stays_with_its_leader_and_is_cheap_without_one(text, leader):
    router = QueryRouter(assign_tiers(NAMES))
    earlier = [*ask(FEDAVG), {"role": "assistant", "content": "FedProx adds a proximal term."}]

    assert router.route([*earlier, *ask(text)], leader=leader).model_name == leader
    assert router.route(ask(text)).model_name == NAMES[0]


@pytest.mark.parametrize(("max_answers", "count"), [(None, 2), (2, 2), (1, 0)])
def test_message_that_needs_more_answers_than_its_tokens_allow_stays_whole(max_answers, count):
    router = QueryRouter(assign_tiers(NAMES))

    decision = router.route_decomposed(ask(TWO_TASKS), max_answers=max_answers)

    assert len(getattr(decision, "tasks", ())) == count
    if not count:
        assert decision == router.route(ask(TWO_TASKS))


def test_exact_answers_need_no_tokens():
    router = QueryRouter(assign_tiers(NAMES))

    decision = router.route_decomposed(ask("What is 2+2? Who wrote Emma?"), max_answers=1)

    assert [sub.tier_number for sub in decision.sub_decisions] == [0, 1]


def test_tasks_are_scored_with_the_conversation_around_them():
    seen = []
    router = QueryRouter(assign_tiers(NAMES), scorer=lambda m: seen.append(list(m)) or 0.5)
    earlier = [*ask("Hello"), {"role": "assistant", "content": "Hi!"}]

    router.route_decomposed([*earlier, *ask(TWO_TASKS)])

    assert [messages[:-1] for messages in seen] == [earlier, earlier]
    assert [messages[-1]["content"] for messages in seen] == [
        "Explain quantum computing",
        "write a Python sort function",
    ]


def test_exact_question_that_follows_an_answer_gets_a_model():
    decision = QueryRouter(assign_tiers(NAMES)).route_decomposed(
        ask("Calculate 15% of 340. Add 10 to the result.")
    )

    assert [sub.tier_number > 0 for sub in decision.sub_decisions] == [False, True]
    assert [task.depends_on for task in decision.tasks] == [None, 0]


def test_task_that_leans_on_another_gets_a_model_even_if_its_words_alone_are_exact():
    task = "divide ten by four"
    assert check_deterministic(task) is not None

    decision = QueryRouter(assign_tiers(NAMES)).route_decomposed(
        ask(f"Name a city in France, then {task}.")
    )

    assert [(t.text, t.depends_on) for t in decision.tasks[1:]] == [(task, 0)]
    assert decision.sub_decisions[1].deterministic is None


def test_task_that_goes_on_with_a_harder_one_gets_its_model():
    router = QueryRouter(assign_tiers(NAMES), scorer=by_words)
    text = "Write a long and stormy poem about the northern seas. Shorten it."

    decision = router.route_decomposed(ask(text))

    hard, goes_on = decision.sub_decisions
    assert (hard.tier, goes_on.tier) == ("quality", "quality")
    assert (goes_on.model_name, goes_on.fallback_chain) == (hard.model_name, hard.fallback_chain)
    assert goes_on.reason == "follows up on its answer"


def test_only_able_models_get_tasks():
    decision = router_at(0.1).route_decomposed(ask(TWO_TASKS), allowed={"phi-4-mini"})

    assert {sub.model_name for sub in decision.sub_decisions} == {"phi-4-mini"}
    with pytest.raises(NoModelAvailableError):
        router_at(0.1).route_decomposed(ask(TWO_TASKS), allowed=set())


@pytest.mark.parametrize(
    ("messages", "plain_text"),
    [
        (ask(TWO_TASKS), False),
        ([{"role": "system", "content": "Answer in French."}, *ask(TWO_TASKS)], True),
        ([*ask(TWO_TASKS), {"role": "assistant", "content": "Quantum"}], True),
        ([*ask("x"), {"role": "tool", "content": "4"}, *ask(TWO_TASKS)], True),
        ([], True),
    ],
)
def test_message_that_does_not_stand_alone_stays_whole(messages, plain_text):
    decision = router_at(0.5).route_decomposed(messages, plain_text=plain_text)

    assert not hasattr(decision, "tasks")


def test_system_prompt_that_only_introduces_changes_nothing():
    hello = {"role": "system", "content": "You are a helpful assistant."}
    router = QueryRouter(assign_tiers(NAMES))

    assert router.route([hello, *ask("What is 2+2?")]).model_name == "tier0"
    assert len(router.route_decomposed([hello, *ask(TWO_TASKS)]).tasks) == 2
