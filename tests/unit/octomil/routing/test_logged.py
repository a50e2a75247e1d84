import pytest

from octomil.routing.logged import LoggedRequest


@pytest.mark.parametrize(
    "record",
    [
        {"messages": [{"role": "user", "content": "Hi"}],
         "usage": {"prompt_tokens": 3, "completion_tokens": 7}},
        {"prompt": "Hi", "usage": {"prompt_tokens": 3, "completion_tokens": 7}},
        {"body": {"messages": [{"role": "user", "content": "Hi"}]},
         "response": {"body": {"usage": {"prompt_tokens": 3, "completion_tokens": 7}}}},
        {"request": {"messages": [{"role": "user", "content": "Hi"}]},
         "response": {"usage": {"prompt_tokens": 3, "completion_tokens": 7}}},
    ],
    ids=["request", "prompt", "batch", "gateway"],
)  # fmt: skip
def test_a_request_is_read_however_it_was_logged(record):
    assert LoggedRequest.from_record(record) == LoggedRequest(
        [{"role": "user", "content": "Hi"}], 3, 7
    )


def test_tokens_are_estimated_where_nobody_counted():
    request = LoggedRequest.from_record({"prompt": "x" * 41})

    assert (request.prompt_tokens, request.completion_tokens) == (11, None)


def test_rows_of_calibration_are_read():
    request = LoggedRequest.from_record({"prompt": "Hi", "weak": 0, "strong": 1})

    assert request.scores == {"weak": 0.0, "strong": 1.0}


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        ([], "expected an object"),
        ({}, 'no "messages" and no "prompt"'),
        ({"prompt": "  "}, 'no "messages" and no "prompt"'),
        ({"messages": []}, 'no "messages"'),
        ({"messages": ["Hi"]}, "a list of objects"),
        ({"prompt": "Hi", "usage": 3}, '"usage" must be an object'),
        ({"prompt": "Hi", "usage": {"prompt_tokens": -1}}, '"prompt_tokens" must be a count'),
        ({"prompt": "Hi", "usage": {"completion_tokens": True}}, "must be a count, got True"),
        ({"prompt": "Hi", "scores": [1]}, '"scores" must be an object'),
        ({"prompt": "Hi", "scores": {"a": 2}}, "'a' must be between 0 and 1, got 2"),
        ({"prompt": "Hi", "weak": "x"}, "'weak' must be between 0 and 1"),
        ({"prompt": "Hi", "n": "two"}, '"n" must be a count'),
        ({"prompt": "Hi", "max_tokens": "9"}, '"max_tokens" must be a count'),
        ({"prompt": "Hi", "response_format": "json"}, '"response_format" must be an object'),
        ({"messages": [{"role": "user", "content": ["Hi"]}]}, "must be objects with a"),
    ],
)
def test_what_makes_no_sense_is_refused(record, complaint):
    with pytest.raises(ValueError, match=complaint):
        LoggedRequest.from_record(record)


@pytest.mark.parametrize("envelope", [None, "body", "request"])
def test_what_else_the_client_asked_for_is_read_beside_the_messages(envelope):
    asked = {"messages": [{"role": "user", "content": "Hi"}], "tools": [{}], "stop": ["END"]}
    request = LoggedRequest.from_record({envelope: asked} if envelope else asked)

    assert (request.plain_text, request.may_split) == (False, False)


def test_what_the_answer_tells_is_no_wish():
    answer = {"logprobs": {"content": []}, "n": 3, "stop": "END"}
    request = LoggedRequest.from_record({"body": {"prompt": "Hi"}, "response": answer})

    assert (request.plain_text, request.may_split) == (True, True)
