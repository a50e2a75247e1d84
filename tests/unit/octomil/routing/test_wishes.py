import re

import pytest

from octomil.routing.qualifiers import LANGUAGES
from octomil.routing.wishes import (
    MAX_CHARS,
    MAX_MESSAGES,
    asks_for_a_form,
    bend_later_answers,
)


def user(text):
    return {"role": "user", "content": text}


@pytest.mark.parametrize(
    "text",
    [
        "From now on answer in German.",
        "Answer everything as JSON",
        "Please reply only in French from here on",
        "I want your answers in capital letters",
        "You are a pirate.",
        "You're my maths teacher, never tell me the result at once.",
        "Pretend to be a calculator of the last century",
        "Whenever I give you a sum, double it.",
        "When I ask for a number, say it in words.",
        "Let's play: each time I type a sum, be wrong on purpose.",
        "Speak like Shakespeare",
        "Don't use digits",
        "Use roman numerals",
        "in German, please",
        "JSON only: give it as JSON",
        "Just say yes or no",
        "Antworte ab jetzt auf Deutsch",
        "R\u00e9ponds en fran\u00e7ais s'il te pla\u00eet",
        "Responde siempre en espa\u00f1ol",
        "In Spanish por favor",
        "Be brief.",
        "Please be concise",
        "Hi! You are the captain of a ship, I am your mate.",
        "You are Shakespeare.",
        "You are now a vending machine",
        "Imagine you are a ghost.",
        "I want you to act as a Linux terminal",
        "Can you be a strict examiner?",
        "Could you answer in one word?",
        "Would you mind answering in French?",
        "Let's continue in Italian",
        "Can we speak German?",
        "Stop using emojis",
        "Stop answering in French",
        "Thanks, but stop being so formal.",
        "Do not write more than one sentence",
        "Ok, and don't explain anything",
        "Never give me the number itself",
        "You must always round down",
        "Always round down",
        "No emojis please",
        "No more jokes",
        "Keep it short",
        "Keep your answers under ten words",
        "Short answers, please",
        "Spanish only",
        "only French please",
        "German, please",
        "Every answer must rhyme",
        "All replies in uppercase",
        "Give every answer as JSON.",
        "Make your replies rhyme",
        "Switch to English",
        "Stick to metric units",
        "Call me Captain",
        "Your name is Bob",
        "Your role is to be a grumpy clerk",
        "Henceforth we count in dozens",
        "For the rest of this chat, use words",
        "Until I say stop, count wrongly",
        "Sprich bitte Deutsch",
        "Bitte auf Deutsch",
        "Habla en espa\u00f1ol",
        "En fran\u00e7ais svp",
        "Write only in lowercase",
        "Return only valid YAML",
        "If I type a sum, return its negative",
        "Your next reply should be in German",
        "I'd like you to reply in verse",
        "Remember to end every message with Amen",
        "Say everything twice",
        "Try to answer without numbers",
        "Output as markdown",
        "Avoid digits",
        "Translate everything I write into Dutch",
        "You\u2019re a poet",
    ],
)
def test_wish_for_all_that_follows_is_heard(text):
    assert asks_for_a_form(text)
    assert asks_for_a_form(f"The tide comes in.\n{text}")
    assert bend_later_answers([user(text), {"role": "assistant", "content": "Ok"}, user("2+2")])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello",
        "What is the capital of France?",
        "Who answered the phone first?",
        "Write a Python function that reverses a string",
        "Translate good morning to German",
        "Explain the rules of chess",
        "How far is the Moon?",
        "thanks",
        "You are right, thanks.",
        "You are welcome",
        "You're the best!",
        "Are you sure?",
        "I don't understand recursion",
        "Stop me if I'm wrong",
        "Is my next message too long?",
        "I do not know what a monad is.",
        "Don't worry",
        "Never mind",
        "I always forget the difference between affect and effect",
        "I never learned to swim",
        "What will happen in the future?",
        "People don't like spiders. Why?",
        "Why don't cats like water?",
        "My dog doesn't stop barking, what can I do?",
        "Where do buses stop in Rome?",
        "How do I respond in an interview?",
        "How do people in Brazil talk?",
        "What do they speak in Brazil?",
        "My friends call me Bob.",
        "You are very helpful",
        "You are wrong about the date.",
        "What is your answer?",
        "I like your answer",
        "Is every number a product of primes?",
        "Are all numbers in this list prime?",
        "Can you tell me about Rome?",
        "How do I change to another bus in Oslo?",
        "I can't stop laughing",
        "What if I say no to my boss?",
        "Do you know a good recipe?",
        "What happens if I ask for a refund?",
        "How can I avoid traffic?",
        "What does avoid mean?",
        "When I was young I lived in Rome.",
        "If you are a student you get a discount, right?",
        "I think you are a good tutor",
        "Yes, that is what I meant.",
        "The function is always called twice, which is fine.",
        "In my opinion it is too long.",
        "Name three rivers in Germany.",
        "How do I parse JSON in Python?",
        "Just kidding",
        "Be right back",
        "Is the result correct?",
        "Only two of them work, what about the third?",
        "I use Linux and it is slow.",
        "What is the use of a flywheel?",
        "The answer in the book is 7.",
        "Don't you think so?",
        "Nobody will ever stop us",
        "You are so kind",
        "I was told to answer the letter, what should I write?",
        "Speak to you later",
        "Call a function from C",
        "Keep going",
        "Start over",
        "No problem.",
        "Translate 'from now on' to French",
        'What does "stop it" mean?',
    ],
)
def test_what_is_said_in_passing_bends_nothing_later(text):
    assert not asks_for_a_form(text)
    assert not bend_later_answers([user(text), user("What is 2+2?")])


def test_only_what_a_user_said_before_counts():
    wish = "Answer in German."

    assert not bend_later_answers([user(wish)])
    assert not bend_later_answers([{"role": "assistant", "content": wish}, user("2+2")])
    assert not bend_later_answers([])


@pytest.mark.parametrize("language", re.sub(r"[()?:]", "", LANGUAGES).split("|"))
def test_every_language_can_be_asked_for(language):
    assert asks_for_a_form(f"{language}, please")


class CountedText(dict):
    """A message that counts how often its text is asked for."""

    texts_read = 0

    def get(self, key, default=None):
        self.texts_read += key == "content"
        return super().get(key, default)


@pytest.mark.parametrize(
    "text",
    ["", "The tide comes in. " * 20, "x" * MAX_CHARS, [{"type": "text", "text": "hi"}] * MAX_CHARS],
)
def test_of_a_long_conversation_a_bounded_part_is_read_and_the_rest_is_a_wish(text):
    message = CountedText(role="user", content=text)

    assert bend_later_answers([message] * (MAX_MESSAGES + 1))
    assert message.texts_read <= MAX_CHARS // max(len(text), 8) + 1


def test_text_is_read_up_to_its_bound_and_taken_for_a_wish_beyond():
    said = "The tide comes. " * (MAX_CHARS // 16)

    assert not bend_later_answers([user(said[:-2]), user("?"), user("2+2")])
    assert bend_later_answers([user(said), user("?"), user("2+2")])
    assert bend_later_answers([user([{"type": "text", "text": said}] * 2), user("2+2")])
    assert asks_for_a_form(f"{said}.")


def test_hundred_short_turns_are_within_the_bound():
    turns = [user("How far is the Moon?"), {"role": "assistant", "content": "x" * 5_000}] * 100

    assert not bend_later_answers([*turns, user("2+2")])
    assert bend_later_answers([user("In verse, please"), *turns, user("2+2")])
