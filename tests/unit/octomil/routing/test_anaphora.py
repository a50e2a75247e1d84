import pytest

from octomil.routing.anaphora import names_its_object, points_back, points_to_several


@pytest.mark.parametrize(
    "task",
    [
        "translate it to German",
        "explain this in detail",
        "rewrite the above in verse",
        "describe the second one",
        "shorten your answer",
        "pick the best one",
        "explain that",
        "when was he born?",
        "write another",
        "list the main causes",
        "write unit tests",
        "explain the algorithm",
        "what about Spain?",
        "tell me the author's name",
    ],
)
def test_word_without_its_own_meaning_points_back(task):
    assert points_back(task, task.split()[0].lower(), is_later=True)


@pytest.mark.parametrize(
    "task",
    [
        "what time is it in Tokyo?",
        "is it safe to swim at night?",
        "how long does it take to boil an egg?",
        "describe the water cycle",
        "how far is the moon?",
        "list the causes of World War I",
        "explain the Monty Hall problem",
        "write a command that undoes a commit",
        "what is your name?",
        "are there tides on lakes?",
        "write a note to my teacher",
        "who wrote the iliad?",
        "name the world's longest river in Asia",
        "list the days of the week",
    ],
)
def test_word_with_a_meaning_of_its_own_does_not(task):
    assert not points_back(task, task.split()[0].lower(), is_later=True)


def test_first_task_may_speak_of_a_thing_more_freely():
    task = "write a command that undoes the last commit"

    assert not points_back(task, "write", is_later=False)
    assert points_back(task, "write", is_later=True)


@pytest.mark.parametrize(
    ("task", "several"),
    [
        ("compare them", True),
        ("which of these is larger?", True),
        ("combine both", True),
        ("translate it", False),
        ("write a poem about twins", False),
    ],
)
def test_plural_points_to_several(task, several):
    assert points_to_several(task) is several


def test_question_for_a_maker_names_what_was_made():
    assert names_its_object("Who painted the Mona Lisa?")
    assert not names_its_object("Who won?")
