"""Several conversations at once: so many at a time, each answered or refused by itself."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from octomil.control.ports import GenerationQuery
from octomil.control.services.inference_values import since_ms
from octomil.errors import ApiError
from octomil.wire.inference import BatchProblem, BatchResult, InferenceAnswer


async def answer_all(
    queries: Sequence[GenerationQuery],
    answer: Callable[[GenerationQuery], Awaitable[InferenceAnswer]],
    workers: int,
    clock_s: Callable[[], float],
) -> list[BatchResult]:
    """Return what became of each query, in their order; cancelling the call stops all of them.

    Args:
        queries: what is asked.
        answer: answers one; what it raises as `ApiError` is that one's alone.
        workers: queries that are worked on at once.
        clock_s: monotonic seconds.
    """
    results: dict[int, BatchResult] = {}
    waiting = iter(enumerate(queries))

    async def work() -> None:
        for index, query in waiting:
            results[index] = await _answered(index, query, answer, clock_s)

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(work())
    return [results[index] for index in range(len(queries))]


async def _answered(
    index: int,
    query: GenerationQuery,
    answer: Callable[[GenerationQuery], Awaitable[InferenceAnswer]],
    clock_s: Callable[[], float],
) -> BatchResult:
    began_s = clock_s()
    try:
        found = await answer(query)
    except ApiError as error:
        problem = BatchProblem(error=error.code, message=str(error), status_code=error.status)
        return BatchResult(
            index=index,
            output=None,
            error=problem,
            latency_ms=since_ms(began_s, clock_s()),
            provider=None,
            usage=None,
            finish_reason=None,
        )
    return BatchResult(
        index=index,
        output=found.output,
        error=None,
        latency_ms=found.latency_ms,
        provider=found.provider,
        usage=found.usage,
        finish_reason=found.finish_reason,
    )
