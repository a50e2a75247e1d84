"""Labels that give way to others."""

from octomil.control.last_heard import LastHeard

A, B, C, D = (("a",), ("b",), ("c",), ("d",))


def test_who_is_full_makes_room_among_its_own():
    heard = LastHeard(2, 10)

    assert [heard.hear("acme", each) for each in (A, B, A)] == [None] * 3
    assert heard.hear("globex", D) is None
    assert heard.hear("acme", C) == B
    assert heard.hear("acme", A) is None
    assert heard.hear("acme", B) == C


def test_where_all_are_full_what_was_heard_of_longest_ago_goes():
    heard = LastHeard(2, 2)

    assert [heard.hear(name, label) for name, label in (("acme", A), ("globex", B))] == [None] * 2
    assert heard.hear("initech", C) == A
    assert heard.hear("acme", A) == B


def test_labels_that_another_has_are_not_given_up():
    heard = LastHeard(1, 10)

    assert [heard.hear(name, A) for name in ("acme", "globex")] == [None] * 2
    assert heard.hear("acme", B) is None
    assert heard.hear("globex", B) == A
