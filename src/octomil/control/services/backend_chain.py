"""The backends in their order: a request goes to the first that answers it, and to no other.

A backend is left for the next one before its first token only; whatever fails later is told, and
never answered twice. One that failed is not asked until a look at it, which no request waits for,
finds it well again.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Final, Self, TypeVar

from epochly.inference.breaker import (
    BreakerPolicy,
    BreakerState,
    CircuitBreaker,
    Permit,
    Transition,
)
from octomil.control.backend_metrics import BackendMetrics
from octomil.control.ports import GenerationQuery, InferenceBackend, Piece
from octomil.engines.base import Embeddings
from octomil.errors import (
    EngineAbsentError,
    EngineError,
    EngineRefusedError,
    EngineUnavailableError,
    EngineUnreachableError,
    GenerationError,
    InvalidRequestError,
    ModelError,
    ModelUnavailableError,
    ModelUnsuitedError,
    OctomilError,
    UnknownModelError,
)

POLICY: Final = BreakerPolicy(
    failure_threshold=5,
    recovery_timeout_s=5.0,
    max_recovery_timeout_s=60.0,
)

LONGEST_LOOK_S: Final = 10.0
"""A backend that does not tell its models in so many seconds is not well."""

_log = logging.getLogger("octomil.control")

Pieces = AsyncGenerator[Piece, None]
ResultT = TypeVar("ResultT")


class Link:
    """A backend, and the breaker in front of it.

    Args:
        backend: what answers.
        clock_s: monotonic seconds.
    """

    def __init__(self, backend: InferenceBackend, clock_s: Callable[[], float]) -> None:
        self.backend = backend
        self._breaker = CircuitBreaker(backend.name, POLICY, clock=clock_s)
        self._breaker.on_transition(_tell)
        self._is_absent = False

    @property
    def name(self) -> str:
        """The backend's."""
        return self.backend.name

    @property
    def is_asked(self) -> bool:
        """Whether requests go there now."""
        return self._breaker.shared_permit is not None

    def admitted(self) -> Permit:
        """Return the permit of a request.

        Raises:
            EngineUnavailableError: the backend is left alone for now.
        """
        if (permit := self._breaker.shared_permit) is None:
            found = self._breaker.snapshot()
            kind = EngineAbsentError if self._is_absent else EngineUnavailableError
            raise kind(
                f"it is not asked for now, because it failed ({found.reason})",
                retry_after_s=max(1.0, found.retry_after_s or 0.0),
            )
        return permit

    def record(self, permit: Permit, error: BaseException | None = None) -> None:
        """Count how a request went; only faults of the backend's own speak against it."""
        if error is None:
            self._breaker.record_success(permit)
        elif isinstance(error, EngineUnreachableError):
            self._is_absent = isinstance(error, EngineAbsentError)
            self._breaker.trip(reason_of(error))
        elif isinstance(error, EngineError) and not isinstance(error, InvalidRequestError):
            self._is_absent = False
            self._breaker.record_failure(permit, reason_of(error))
        else:
            self._breaker.release(permit)

    async def look(self, within_s: float) -> None:
        """Find out, in `within_s` seconds, whether a backend that failed is well again.

        Does nothing where it is not time to.
        """
        if self._breaker.state is not BreakerState.HALF_OPEN:
            return
        if (permit := self._breaker.allow()) is None:
            return
        try:
            async with asyncio.timeout(within_s):
                await self.backend.models()
        except OctomilError as error:
            self._breaker.record_failure(permit, reason_of(error))
        except TimeoutError:
            self._breaker.record_failure(permit, f"it told no models within {within_s:g} s")
        except BaseException:
            self._breaker.release(permit)
            raise
        else:
            self._breaker.record_success(permit)


class Generation:
    """An answer that has begun; to be closed whenever it is not wanted any more.

    Attributes:
        provider: the backend that answers.
    """

    def __init__(self, link: Link, permit: Permit, first: Piece, rest: Pieces) -> None:
        self.provider = link.name
        self._link, self._permit = link, permit
        self._first: Piece | None = first
        self._rest = rest

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Piece:
        """Return the next piece.

        Raises:
            GenerationError: the backend failed; the answer stays as it is.
        """
        if (first := self._first) is not None:
            self._first = None
            return first
        try:
            piece = await anext(self._rest)
        except StopAsyncIteration:
            self._link.record(self._permit)
            raise
        except OctomilError as error:
            self._link.record(self._permit, error)
            raise GenerationError(
                f"the backend {self.provider!r} failed while it answered: {reason_of(error)}"
            ) from error
        return piece

    async def aclose(self) -> None:
        """Stop the generation at the backend, if it has not ended."""
        await self._rest.aclose()


class BackendChain:
    """Asks backends, one after the other.

    Args:
        backends: in the order in which they are tried.
        metrics: count the tries.
        clock_s: monotonic seconds.
    """

    def __init__(
        self,
        backends: Sequence[InferenceBackend],
        metrics: BackendMetrics,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.links: Final = tuple(Link(backend, clock_s) for backend in backends)
        self._metrics = metrics

    async def begin(self, query: GenerationQuery) -> Generation:
        """Have a conversation gone on with; returns when there is a first piece.

        Raises:
            InvalidRequestError: the request is wrong.
            UnknownModelError: no backend has the model.
            EngineUnavailableError: no backend can answer now.
        """

        async def first_piece(link: Link) -> Generation:
            permit = link.admitted()
            pieces = link.backend.stream(query)
            try:
                first = await anext(pieces)
            except BaseException as error:
                await pieces.aclose()
                link.record(permit, error)
                raise
            return Generation(link, permit, first, pieces)

        _, generation = await self._first_of(query.model, first_piece)
        return generation

    async def embed(self, model: str, texts: Sequence[str]) -> tuple[str, Embeddings]:
        """Turn texts into vectors; returns who did besides. Raises what `begin` does."""

        async def embedded(link: Link) -> Embeddings:
            permit = link.admitted()
            try:
                found = await link.backend.embed(model, texts)
            except BaseException as error:
                link.record(permit, error)
                raise
            link.record(permit)
            return found

        return await self._first_of(model, embedded)

    async def look(self, within_s: float = LONGEST_LOOK_S) -> None:
        """Find out which of the backends that failed are well again; no one waits for another.

        Args:
            within_s: seconds that each has to tell its models.
        """
        async with asyncio.TaskGroup() as looks:
            for link in self.links:
                looks.create_task(link.look(within_s))

    async def close(self) -> None:
        """Close the backends."""
        for link in self.links:
            await link.backend.close()

    async def _first_of(
        self, model: str, ask: Callable[[Link], Awaitable[ResultT]]
    ) -> tuple[str, ResultT]:
        said: dict[str, OctomilError] = {}
        for link in self.links:
            try:
                return link.name, await ask(link)
            except InvalidRequestError:
                raise
            except (EngineError, ModelError) as error:
                said[link.name] = error
                self._metrics.passed_over(link.name, error)
        raise _nobody(model, said)


def reason_of(error: BaseException) -> str:
    """Say why a backend did not answer, for callers: not where it is, which is nobody's business.

    Example:
        >>> reason_of(EngineUnreachableError("cannot connect to http://10.0.0.7: refused"))
        'it cannot be reached'
    """
    if isinstance(error, EngineUnreachableError):
        return "it cannot be reached"
    if isinstance(error, GenerationError) and not isinstance(error, EngineRefusedError):
        return "it broke off, or sent nothing in time, or what makes no sense"
    return str(error)


def _nobody(model: str, said: dict[str, OctomilError]) -> OctomilError:
    """Return why nobody answered; a server that nobody said is there is missed by nobody."""
    if not said:
        return EngineUnavailableError(
            "no backend is set up; give the control plane OLLAMA_BASE_URL or OPENAI_API_ENDPOINT"
        )
    told = "; ".join(f"{name}: {reason_of(error)}" for name, error in said.items())
    expected = [error for error in said.values() if not isinstance(error, EngineAbsentError)]
    if expected and all(isinstance(error, UnknownModelError) for error in expected):
        return UnknownModelError(f"no backend has the model {model!r} ({told})")
    lacking = (UnknownModelError, ModelUnsuitedError)
    if expected and all(isinstance(error, lacking) for error in expected):
        return InvalidRequestError(f"no backend does this with the model {model!r} ({told})")
    waiting = (EngineUnavailableError, ModelUnavailableError)
    waits_s = [e.retry_after_s or 1.0 for e in said.values() if isinstance(e, waiting)]
    return EngineUnavailableError(
        f"no backend can answer for the model {model!r} now ({told})",
        retry_after_s=min(waits_s, default=1.0),
    )


def _tell(transition: Transition) -> None:
    level = logging.INFO if transition.after is BreakerState.CLOSED else logging.WARNING
    _log.log(
        level,
        "the backend %r is %s now: %s",
        transition.breaker,
        transition.after.replace("_", " "),
        transition.reason,
    )
