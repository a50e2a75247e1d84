"""What is set aside for a request is never less than what real models count in it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from octomil.config import Settings
from octomil.models.pull import ModelStore
from octomil.models.references import parse_reference
from octomil.serve.token_estimates import most_answer_tokens, most_prompt_tokens
from support.serving import serving

TEXTS = st.text(max_size=60) | st.text('aé中ﷺ\U0001d160 \n"\\', max_size=30)
LOOK = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Look up the tide tables of a harbour.",
        "parameters": {
            "type": "object",
            "properties": {"harbour": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["harbour"],
        },
    },
}
SMALL, LARGE = "smollm2-135m", "qwen2.5-coder-1.5b"
CHATS = (
    (SMALL, {"messages": [{"role": "user", "content": ""}]}),
    (SMALL, {"messages": [{"role": "user", "content": "1"}] * 3}),
    (SMALL, {"messages": [{"role": "user", "content": "潮汐是什么" * 20}]}),
    (SMALL, {"messages": [{"role": "user", "content": "ﷺ\U0001d160é🌊" * 10}]}),
    (SMALL, {"messages": [{"role": "user", "content": "9 8 {7}\n[]" * 20}]}),
    (LARGE, {"messages": [{"role": "user", "content": "High tide?"}], "tools": [LOOK]}),
)


@pytest.fixture(scope="module")
def tokenizer(model_cache) -> Tokenizer:
    model = ModelStore(Settings.from_env()).pull(parse_reference("all-minilm-l6-v2", {}))
    tokenizer = Tokenizer.from_file(str(model.path.parent / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@pytest.fixture(scope="module")
def cramped_server(model_cache):
    """A small model with a context of 256 tokens."""
    with serving(SMALL, "--ctx-size", "256", "--threads", "1") as served:
        yield served


@settings(max_examples=200, deadline=None)
@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
def test_the_tokenizer_of_the_embedding_model_makes_no_more_of_texts(tokenizer, texts):
    counted = sum(len(tokenizer.encode(text).ids) for text in texts)

    assert counted <= most_prompt_tokens({"input": texts})
    assert counted <= most_prompt_tokens({"prompt": texts})


@pytest.mark.parametrize(("model", "asked"), CHATS)
def test_llama_cpp_counts_no_more_in_a_conversation(routed_server, model, asked):
    body = {**asked, "model": model, "max_tokens": 2}

    used = routed_server.post("/v1/chat/completions", body).json()["usage"]

    assert 0 < used["prompt_tokens"] <= most_prompt_tokens(body)
    assert used["completion_tokens"] <= most_answer_tokens(body)


@pytest.mark.parametrize("prompts", [["Once"], ["Once upon", "a tide 潮"]])
def test_llama_cpp_counts_no_more_in_texts_to_continue(routed_server, prompts):
    body = {"model": "smollm2-135m", "prompt": prompts, "max_tokens": 3, "n": 2}

    used = routed_server.post("/v1/completions", body).json()["usage"]

    assert 0 < used["prompt_tokens"] <= most_prompt_tokens(body)
    assert used["completion_tokens"] <= most_answer_tokens(body)


@pytest.mark.parametrize("max_tokens", [None, 1_000_000])
def test_answer_of_llama_cpp_ends_where_the_context_is_full(cramped_server, max_tokens):
    counting = "Count from 1 to 1000: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"

    options = {"temperature": 0, "logit_bias": {"2": -100}}  # <|im_end|> ends nothing
    answer = cramped_server.chat(counting, max_tokens=max_tokens, **options).json()

    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["total_tokens"] == 256


def test_prompt_that_fills_the_context_of_llama_cpp_is_refused(cramped_server):
    refused = cramped_server.chat("tide " * 256, max_tokens=1)

    assert (refused.status_code, refused.json()["error"]["code"]) == (
        400,
        "context_length_exceeded",
    )
