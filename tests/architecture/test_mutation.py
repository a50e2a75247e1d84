"""A sample of `bench/mutation.py`: a documented name that does nothing fails its own test."""

import asyncio
import functools
import inspect
from collections.abc import Callable

import pytest
from bench import mutation as campaign
from bench.gutting import function_at, function_in, gut
from bench.mutation import Mutant

from support.mutants import documented_callables

QUEUE = "octomil.batch:RequestQueue.start"
ITS_TEST = "tests/unit/octomil/test_batch.py::test_new_queue_takes_no_request_before_it_is_started"
ANOTHER = "tests/unit/octomil/test_batch.py::test_defaults_are_the_documented_ones"


class Documented:
    """One of each kind of callable."""

    def method(self, a, *, b=1):
        return a, b

    @property
    def value(self):
        return 1

    @classmethod
    def made(cls):
        return cls()

    @staticmethod
    def plain(a):
        return a

    @functools.cache  # noqa: B019 - it is the wrapping that is of interest
    def wrapped(self):
        return 1

    def with_a_cell(self):
        return __class__

    async def awaited(self):
        return 1


CALLS = {
    "method": lambda one: one.method(1, b=2),
    "value": lambda one: one.value,
    "made": lambda one: one.made(),
    "plain": lambda one: one.plain(1),
    "wrapped": lambda one: one.wrapped(),
    "with_a_cell": lambda one: one.with_a_cell(),
    "awaited": lambda one: asyncio.run(one.awaited()),
}


@pytest.mark.parametrize(("name", "call"), CALLS.items(), ids=CALLS)
def test_whatever_is_callable_can_be_gutted(name: str, call: Callable[[Documented], object]):
    function = function_in(inspect.getattr_static(Documented, name))
    code = function.__code__
    assert call(Documented()) is not None
    try:
        gut(function)

        assert call(Documented()) is None
    finally:
        function.__code__ = code


def test_all_documented_callables_are_found_where_they_are_said_to_be():
    found = documented_callables()

    assert (QUEUE, ITS_TEST) in found
    assert {inspect.isfunction(function_at(target)) for target, _ in found} == {True}
    assert [Mutant(*pair) for pair in found] == campaign.mutants()


@pytest.mark.parametrize("target", ["octomil.batch:RequestQueue.absent", "octomil.batch:__doc__"])
def test_target_that_is_no_function_is_an_error(target: str):
    with pytest.raises((AttributeError, TypeError)):
        function_at(target)


@pytest.mark.slow
def test_mutant_is_noticed_by_the_test_that_is_named_and_not_by_any():
    campaign.check_tests({ITS_TEST, ANOTHER})

    assert not campaign.survives(Mutant(QUEUE, ITS_TEST))
    assert campaign.survives(Mutant(QUEUE, ANOTHER))


@pytest.mark.slow
def test_what_cannot_be_tried_is_an_error_and_no_result():
    with pytest.raises(RuntimeError, match="the tests fail on the code as it is"):
        campaign.check_tests({"tests/unit/octomil/test_batch.py::test_absent"})
    with pytest.raises(RuntimeError, match="could not be tried"):
        campaign.survives(Mutant("octomil.batch:absent", ANOTHER))


@pytest.mark.slow
def test_a_sample_of_the_campaign_has_no_survivor():
    (row,) = campaign.run(quick=True)

    assert (row.ours, row.verdict) == (100, "ok"), row.note
