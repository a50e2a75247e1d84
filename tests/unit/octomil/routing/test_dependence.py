import pytest

from octomil.routing.dependence import SEVERAL, find_support

HAIKU = "Write a haiku about tea"
SUM = "calculate 2 + 2"


@pytest.mark.parametrize(
    ("part", "head", "earlier", "support"),
    [
        ("translate it to German", "translate", [HAIKU], 0),
        ("translate the haiku to German", "translate", [HAIKU, SUM], 0),
        ("shorten the summary", "shorten", ["Summarize the French Revolution", SUM], 0),
        ("explain the code", "explain", ["Write a function that adds", SUM], 0),
        ("describe Rex", "describe", ["Write a story about a dog called Rex", SUM], 0),
        ("compute x + 1", "compute", ["Let x = 3", SUM], 0),
        ("divide by 3", "divide", [SUM], 0),
        ("round to two digits", "round", [SUM], 0),
        ("write a title", "write", [HAIKU], 0),
        ("who won?", "who", ["Describe the final of 1966"], 0),
        ("explain", "explain", [HAIKU], 0),
        ("list three risks", "list", ["Describe fracking"], 0),
        ("compare them", "compare", [HAIKU], 0),
        ("compare them", "compare", [HAIKU, SUM], SEVERAL),
    ],
)
def test_task_leans_on_the_one_that_has_what_it_lacks(part, head, earlier, support):
    assert find_support(part, head, earlier) == support


@pytest.mark.parametrize(
    ("part", "head", "earlier"),
    [
        (SUM, "calculate", [HAIKU]),
        ("multiply 3 by 4", "multiply", [HAIKU]),
        ("what is the capital of Peru?", "what", ["what is the capital of France?"]),
        ("write a title for a blog about tea", "write", [SUM]),
        ("tell me a joke", "tell", [SUM]),
        ("who wrote Emma?", "who", [HAIKU]),
        ("name three noble gases", "name", [SUM]),
        ("write a haiku about tea", "write", ["write a haiku about rain"]),
    ],
)
def test_task_that_says_everything_leans_on_none(part, head, earlier):
    assert find_support(part, head, earlier) is None


@pytest.mark.parametrize(
    ("part", "head", "points_outside"),
    [
        ("translate it to German", "translate", True),
        ("compare them", "compare", True),
        ("explain", "explain", True),
        ("write a title", "write", True),
        ("write a poem", "write", False),
        (HAIKU, "write", False),
    ],
)
def test_first_task_must_not_point_outside_of_the_text(part, head, points_outside):
    assert (find_support(part, head, []) is not None) is points_outside
