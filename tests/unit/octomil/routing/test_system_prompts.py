import pytest

from octomil.routing.system_prompts import is_neutral


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        " \n",
        "You are a helpful assistant.",
        "you are a helpful assistant",
        "You are a friendly, helpful and honest AI assistant.",
        "You are an AI assistant developed by Acme. Answer questions.",
        "You are a helpful chatbot. Be polite and honest!",
    ],
)
def test_prompt_that_only_introduces_the_assistant_is_neutral(prompt):
    assert is_neutral(prompt)


@pytest.mark.parametrize(
    "prompt",
    [
        "Answer in French.",
        "You are a helpful assistant. Answer in French.",
        "You are a helpful assistant that answers in JSON.",
        "You are a French assistant.",
        "You are a terse assistant.",
        "You are a pirate.",
        "You are a helpful assistant." + " Be polite." * 100,
        "helpful " * 1000,
    ],
)
def test_prompt_that_may_ask_for_more_is_not(prompt):
    assert not is_neutral(prompt)
