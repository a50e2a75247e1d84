import json

from octomil.http.sse import event_data
from octomil.serve.chat_writer import ChatWriter

USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def events(body: bytes) -> list[dict]:
    return [json.loads(data) for data in event_data(body)]


def test_only_the_first_event_says_who_speaks():
    writer = ChatWriter("m")

    told = events(writer.event("one") + writer.event(" two") + writer.end("stop"))

    assert [e["choices"][0]["delta"] for e in told] == [
        {"role": "assistant", "content": "one"},
        {"content": " two"},
        {},
    ]
    assert [e["choices"][0]["finish_reason"] for e in told] == [None, None, "stop"]
    assert {(e["id"], e["model"], e["object"]) for e in told} == {
        (told[0]["id"], "m", "chat.completion.chunk")
    }


def test_answer_without_words_still_says_who_speaks():
    first, last = events(ChatWriter("m").end("stop", octomil={"a": 1}))

    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert (last["choices"][0]["finish_reason"], last["octomil"]) == ("stop", {"a": 1})


def test_usage_comes_without_choices():
    (told,) = events(ChatWriter("m").usage_event(USAGE))

    assert (told["choices"], told["usage"]) == ([], USAGE)


def test_whole_answer_is_one_message():
    told = json.loads(ChatWriter("m").whole("one", "length", USAGE, extra=1))

    assert told["object"] == "chat.completion"
    assert told["choices"][0]["message"] == {"role": "assistant", "content": "one"}
    assert (told["choices"][0]["finish_reason"], told["usage"], told["extra"]) == (
        "length",
        USAGE,
        1,
    )


def test_every_answer_has_its_own_id():
    one, other = (json.loads(ChatWriter("m").whole("", "stop", USAGE)) for _ in range(2))

    assert one["id"] != other["id"]
