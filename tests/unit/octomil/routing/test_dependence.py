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
        ("write a version for kids", "write", [HAIKU], 0),
        ("describe conditions for life", "describe", ["Name a planet"], 0),
        ("write a Python script", "write", ["Explain bubble sort"], 0),
        ("tell me when to visit", "tell", ["Suggest a city"], 0),
        ("explain how to watch with friends", "explain", ["Suggest a movie"], 0),
        ("suggest subject lines", "suggest", ["Write an email to my boss"], 0),
        ("suggest hashtags on social media", "suggest", ["Write an ad"], 0),
        ("suggest music", "suggest", ["Plan a party"], 0),
        ("what can go wrong?", "what", ["Explain how to bake bread"], 0),
        ("what happens at night?", "what", ["Explain photosynthesis"], 0),
        ("tell me what food is best", "tell", ["Name an animal"], 0),
        ("how long should I rest?", "how", ["Describe a marathon"], 0),
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
        ("explain how to boil an egg", "explain", [SUM]),
        ("write a Python sort function", "write", ["Explain quantum computing"]),
        ("write a Go function that reverses a string", "write", [SUM]),
        ("write a slogan for a bike shop", "write", [SUM]),
        ("list the benefits of tea for kids", "list", [SUM]),
        ("what happens in Rome?", "what", [SUM]),
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


@pytest.mark.parametrize(
    ("part", "head", "waits"),
    [
        ("define entropy", "define", True),
        ("list 3 noble gases", "list", True),
        ("name the top 3 of rivers", "name", True),
        ("define the entropy of Rome", "define", False),
        ("convert 30 miles to km", "convert", False),
        ("explain why 17 is prime", "explain", True),
        ("tell me what 12 * 9 is", "tell", False),
        ("write a SQL schema of users", "write", True),
    ],
)
def test_next_step_waits_unless_it_brings_a_name_or_a_number(part, head, waits):
    assert find_support(part, head, [HAIKU]) is None
    assert (find_support(part, head, [HAIKU], is_next_step=True) == 0) is waits
