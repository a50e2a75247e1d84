import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from epochly.inference.context import RequestContext, TraceContext, bound, carrying, current_request
from support.manual_clock import ManualClock

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def current_id() -> str | None:
    request = current_request()
    return request and request.request_id


Work = Callable[[], str | None]


async def by_create_task(work: Work) -> str | None:
    return await asyncio.create_task(asynchronous(work))


async def by_gather(work: Work) -> str | None:
    (seen,) = await asyncio.gather(asynchronous(work))
    return seen


async def by_task_group(work: Work) -> str | None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(asynchronous(work))
    return task.result()


async def by_to_thread(work: Work) -> str | None:
    return await asyncio.to_thread(work)


async def by_call_later(work: Work) -> str | None:
    loop = asyncio.get_running_loop()
    seen: asyncio.Future[str | None] = loop.create_future()
    loop.call_later(0, lambda: seen.set_result(work()))
    return await seen


async def by_another_loop(work: Work) -> str | None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        return asyncio.run_coroutine_threadsafe(asynchronous(work), loop).result(120)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def by_run_in_executor(work: Work) -> str | None:
    return await asyncio.get_running_loop().run_in_executor(None, work)


async def by_submit(work: Work) -> str | None:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


async def by_map(work: Work) -> str | None:
    with ThreadPoolExecutor(1) as pool:
        (seen,) = pool.map(lambda do: do(), [work])
    return seen


async def by_thread(work: Work) -> str | None:
    seen: list[str | None] = []
    thread = threading.Thread(target=lambda: seen.append(work()))
    thread.start()
    thread.join()
    return seen[0]


async def asynchronous(work: Work) -> str | None:
    await asyncio.sleep(0)
    return work()


CARRYING_BY_THEMSELVES = (
    *(by_create_task, by_gather, by_task_group),
    *(by_to_thread, by_call_later, by_another_loop),
)
NOT_CARRYING = (by_run_in_executor, by_submit, by_map, by_thread)


class TestFields:
    def test_documented_fields_have_defaults(self):
        before = time.monotonic()
        request = RequestContext()

        assert len(request.request_id) == 32
        assert before <= request.enqueue_time <= time.monotonic()
        assert (request.endpoint, request.model_calls, request.timings) == ("", 0, {})
        assert (request.trace_id, request.span_id, request.trace) == (None, None, None)
        assert (request.trace_flags, request.trace_state) == (0, "")
        assert request.headers() == {"x-request-id": request.request_id}

    def test_each_request_has_an_id_and_timings_of_its_own(self):
        one, other = RequestContext(), RequestContext()

        assert one.request_id != other.request_id
        assert one.timings is not other.timings

    def test_model_calls_are_counted(self):
        request = RequestContext()

        request.count_model_call()
        request.count_model_call()

        assert request.model_calls == 2

    def test_times_of_a_stage_add_up(self):
        request, clock = RequestContext(), ManualClock()

        with request.timed("prefill", clock=clock):
            clock.advance(0.002)
        request.add_time("prefill", 1.0)

        assert request.timings == pytest.approx({"prefill": 3.0})

    def test_a_stage_that_fails_took_its_time_too(self):
        request, seconds = RequestContext(), iter((1.0, 1.25))

        with pytest.raises(KeyError), request.timed("decode", clock=lambda: next(seconds)):
            raise KeyError

        assert request.timings == {"decode": 250.0}

    def test_counting_in_many_threads_loses_nothing(self):
        request = RequestContext()

        def work() -> None:
            for _ in range(500):
                request.count_model_call()
                request.add_time("stage", 1.0)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert (request.model_calls, request.timings) == (4000, {"stage": 4000.0})


class TestHeaders:
    def test_a_caller_s_trace_goes_on(self):
        headers = {"X-Request-ID": "r-1", "Traceparent": PARENT, "tracestate": "a=1"}

        request = RequestContext.from_headers(headers, endpoint="/e", clock=lambda: 5.0)

        assert (request.request_id, request.endpoint, request.enqueue_time) == ("r-1", "/e", 5.0)
        assert request.trace_id == TRACE
        assert request.span_id not in (None, SPAN)
        assert request.headers() == {
            "x-request-id": "r-1",
            "traceparent": f"00-{TRACE}-{request.span_id}-01",
            "tracestate": "a=1",
        }

    def test_without_a_valid_trace_one_starts(self):
        request = RequestContext.from_headers([("traceparent", f"ff{PARENT[2:]}")])

        assert request.endpoint == ""
        assert request.trace_id not in (None, TRACE)
        assert TraceContext.from_headers(request.headers()) == request.trace

    def test_a_request_may_be_given_its_place_in_a_trace(self):
        request = RequestContext.at(TraceContext(TRACE, SPAN, 1, "a=1"), request_id="r-1")

        assert (request.request_id, request.endpoint) == ("r-1", "")
        assert request.trace == TraceContext(TRACE, SPAN, 1, "a=1")

    @pytest.mark.parametrize("sent", ["", "a b", "a\n", "é", "x" * 129])
    def test_an_id_that_could_do_harm_is_replaced(self, sent):
        assert RequestContext.from_headers({"x-request-id": sent}).request_id != sent

    def test_a_long_id_is_kept(self):
        assert RequestContext.from_headers({"x-request-id": "~" * 128}).request_id == "~" * 128

    def test_ids_that_are_not_valid_are_not_sent(self):
        request = RequestContext(trace_id="nonsense", span_id=SPAN)

        assert request.headers() == {"x-request-id": request.request_id}


class TestCurrent:
    def test_outside_there_is_none(self):
        assert current_request() is None

    def test_blocks_nest(self):
        with bound(RequestContext(request_id="outer")) as outer:
            with bound(RequestContext(request_id="inner")):
                assert current_id() == "inner"
            assert current_request() is outer
        assert current_request() is None

    def test_it_ends_with_its_block_however_that_ends(self):
        with pytest.raises(KeyError), bound(RequestContext()):
            raise KeyError

        assert current_request() is None

    async def test_tasks_inherit_it_and_stay_apart(self):
        async def work(name: str) -> list[str | None]:
            with bound(RequestContext(request_id=name)):
                seen = []
                for _ in range(3):
                    await asyncio.sleep(0)
                    seen.append(await asyncio.create_task(asyncio.to_thread(current_id)))
                return seen

        seen = await asyncio.gather(*(work(f"r-{number}") for number in range(8)))

        assert seen == [[f"r-{number}"] * 3 for number in range(8)]
        assert current_request() is None

    def test_a_plain_thread_does_not_inherit_it_and_a_carrying_one_does(self):
        seen = []

        def work(prefix: str, *, suffix: str) -> str:
            seen.append(f"{prefix}{current_id()}{suffix}")
            return seen[-1]

        with ThreadPoolExecutor(1) as pool, bound(RequestContext(request_id="r")):
            plain = pool.submit(work, "<", suffix=">").result()
            carried = pool.submit(carrying(work), "<", suffix=">").result()
            after = pool.submit(work, "<", suffix=">").result()

        assert (plain, carried, after) == ("<None>", "<r>", "<None>")
        assert seen == [plain, carried, after]

    @pytest.mark.parametrize("start", CARRYING_BY_THEMSELVES)
    async def test_what_asyncio_starts_carries_it(self, start):
        with bound(RequestContext(request_id="r")):
            assert await start(current_id) == "r"

    @pytest.mark.parametrize("start", NOT_CARRYING)
    async def test_what_starts_a_thread_by_other_means_carries_it_only_if_told_to(self, start):
        with bound(RequestContext(request_id="r")):
            assert await start(current_id) is None
            assert await start(carrying(current_id)) == "r"

    def test_carried_work_may_run_at_once_and_inside_itself(self):
        barrier = threading.Barrier(4, timeout=120)

        def work(_: int) -> str | None:
            barrier.wait()
            return carrying(current_id)()

        with ThreadPoolExecutor(4) as pool, bound(RequestContext(request_id="r")):
            assert list(pool.map(carrying(work), range(4))) == ["r"] * 4

    def test_errors_pass(self):
        def work() -> None:
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            carrying(work)()
