"""The worker process under fire: crashes, orphans, bad files, and cancelled requests."""

import asyncio
import gc
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from octomil.config import Settings
from octomil.engines.base import GenerationRequest
from octomil.engines.llama_cpp.engine import LlamaCppEngine
from octomil.engines.llama_cpp.process import WorkerProcess
from octomil.engines.llama_cpp.spec import WorkerSpec
from octomil.engines.pool import EnginePool
from octomil.engines.pooled import EngineState
from octomil.engines.upstream import open_upstream
from octomil.errors import (
    ConfigurationError,
    EngineCrashedError,
    EngineError,
    EngineUnavailableError,
    InvalidRequestError,
)
from octomil.models.pull import ModelStore
from support.models import model_cache_dir
from support.processes import HeldBack, below, is_gone
from support.prometheus import read_metrics
from support.serving import serving
from support.sse import read_events
from support.stopped import stop
from support.waiting import PATIENCE_S, eventually, url_while_loading

WORKER = "octomil.engines.llama_cpp.worker"
LONG_TEXT = "The quick brown fox jumps over the lazy dog and runs into the wood. "


@pytest.fixture(scope="module")
def gguf() -> Path:
    return ModelStore(Settings(cache_dir=model_cache_dir())).pull("smollm2-135m").path


def spec(gguf: Path, name: str = "smollm2-135m", **more) -> WorkerSpec:
    return WorkerSpec(name=name, path=gguf, slots=2, context_tokens=2048, cache_mib=0, **more)


@pytest.fixture
async def engine(gguf: Path) -> AsyncIterator[LlamaCppEngine]:
    engine = LlamaCppEngine(spec(gguf))
    await engine.load(lambda line: None)
    yield engine
    await engine.close()


@pytest.mark.model
@pytest.mark.parametrize("call", [{}, {"type": "function", "function": {"name": "add"}}])
async def test_history_that_llama_cpp_cannot_read_is_the_client_s_to_mend(engine, call):
    messages = [
        {"role": "user", "content": "What is 1 + 1?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]
    request = GenerationRequest("chat/completions", {"messages": messages, "max_tokens": 1})

    with pytest.raises(InvalidRequestError, match=r"^Failed to parse messages: ") as caught:
        await engine.generate(request)

    assert (caught.value.status, caught.value.param) == (400, "messages")


def endless(content: str = "Count for ever.") -> GenerationRequest:
    messages = [{"role": "user", "content": content}]
    body = {"messages": messages, "max_tokens": 1500, "logit_bias": {"2": -100}}
    return GenerationRequest("chat/completions", body)


def worker_pids(parent: int) -> set[int]:
    """Living workers below a process."""
    return {child.pid for child in below(parent, WORKER)}


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(0)


@pytest.mark.model
async def test_a_crash_fails_what_runs_with_an_error_that_says_so(engine: LlamaCppEngine) -> None:
    stream = engine.stream(endless())
    await anext(stream.events)
    assert engine.pid is not None

    os.kill(engine.pid, signal.SIGKILL)

    with pytest.raises(EngineCrashedError, match="died while it answered"):
        async for _ in stream.events:
            pass
    assert "SIGKILL" in await engine.failure()


@pytest.mark.model
async def test_the_pool_brings_a_dead_model_back_while_the_other_goes_on(gguf: Path) -> None:
    reports: list[str] = []
    pool = EnginePool(reports.append, first_delay_s=0.01)
    victim, other = LlamaCppEngine(spec(gguf, "victim")), LlamaCppEngine(spec(gguf, "other"))
    pool.add("victim", victim)
    pool.add("other", other)
    await pool.start()
    try:
        running = other.stream(endless())
        await anext(running.events)
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)

        await until(lambda: pool["victim"].state is EngineState.RESTARTING)
        with pytest.raises(EngineUnavailableError) as busy:
            pool.engine("victim")
        assert busy.value.retry_after_s > 0
        assert await anext(running.events)  # the other model's stream never noticed
        await running.events.aclose()

        restored = await pool.ready("victim")
        completion = await restored.generate(
            GenerationRequest("completions", {"prompt": "Once", "max_tokens": 2})
        )
        assert completion.usage.completion_tokens == 2
        assert pool["victim"].restarts == 1
        assert any("died" in line for line in reports)
        assert any("back" in line for line in reports)
    finally:
        await pool.close()


@pytest.mark.model
def test_kill_9_of_the_server_leaves_no_worker(model_cache: None) -> None:
    with serving("smollm2-135m", "--ctx-size", "512") as served:
        (worker,) = worker_pids(served.process.pid)

        served.process.kill()
        served.process.wait()

        eventually(lambda: is_gone(worker))


LOADER = """
import asyncio, sys
from pathlib import Path
from octomil.engines.llama_cpp.process import WorkerProcess
from octomil.engines.llama_cpp.spec import WorkerSpec

asyncio.run(WorkerProcess(WorkerSpec(name="endless", path=Path(sys.argv[1]))).start())
"""


def test_kill_9_of_a_parent_whose_worker_still_loads_leaves_no_worker(tmp_path: Path) -> None:
    model = tmp_path / "endless.gguf"
    os.mkfifo(model)  # nobody writes, so that loading from it never ends
    with subprocess.Popen([sys.executable, "-c", LOADER, str(model)]) as parent:
        (worker,) = eventually(lambda: worker_pids(parent.pid))
        try:
            eventually(lambda: "xllamacpp" in Path(f"/proc/{worker}/maps").read_text())

            parent.kill()
            parent.wait()

            eventually(lambda: is_gone(worker))
        finally:
            if not is_gone(worker):
                os.kill(worker, signal.SIGKILL)


@pytest.mark.model
def test_sigterm_ends_the_workers_and_exits_with_0(model_cache: None) -> None:
    with serving("smollm2-135m", "--ctx-size", "512") as served:
        (worker,) = worker_pids(served.process.pid)

        assert served.stop() == 0

        assert is_gone(worker)


@pytest.mark.model
def test_a_crash_of_the_worker_reaches_the_client_and_the_node_recovers(model_cache: None) -> None:
    with serving("smollm2-135m", "--ctx-size", "2048") as served:
        (worker,) = worker_pids(served.process.pid)
        body = {
            "model": "smollm2-135m",
            "messages": [{"role": "user", "content": "Count for ever."}],
            "stream": True,
            "max_tokens": 1500,
            "logit_bias": {"2": -100},
        }
        with httpx.stream(
            "POST", f"{served.url}/v1/chat/completions", json=body, timeout=PATIENCE_S
        ) as response:
            lines = response.iter_lines()
            next(lines)
            os.kill(worker, signal.SIGKILL)
            data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
        error = json.loads(data[-1])["error"]
        assert error["code"] == "engine_crashed"
        assert "[DONE]" not in data

        eventually(lambda: served.get("/ready").status_code == 200)

        assert served.chat("hello", max_tokens=2).status_code == 200
        assert served.get("/health").json()["models"]["smollm2-135m"]["restarts"] == 1


@pytest.mark.model
def test_health_answers_while_models_load(model_cache: None, tmp_path: Path) -> None:
    workers = HeldBack(tmp_path, WORKER)
    with serving("smollm2-135m", env=workers.env, wait_ready=False) as served:
        served.url = url_while_loading(served)
        eventually(lambda: worker_pids(served.process.pid))

        ready = served.get("/ready")
        assert (ready.status_code, ready.json()["models"]) == (503, {"smollm2-135m": "loading"})
        assert served.get("/health").status_code == 200
        refused = served.chat("hello", max_tokens=1)
        assert refused.status_code == 503
        assert "retry-after" in refused.headers

        eventually(workers.let_go)
        eventually(lambda: served.get("/ready").status_code == 200)
        assert served.chat("hello", max_tokens=1).status_code == 200


async def cancelled_once_it_is_at_work(engine: LlamaCppEngine, request: GenerationRequest) -> None:
    task = asyncio.create_task(engine.generate(request))
    async with asyncio.timeout(PATIENCE_S):
        while not await engine.busy():
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(PATIENCE_S):
        while await engine.busy():
            await asyncio.sleep(0)


async def prompt_tokens_read(engine: LlamaCppEngine) -> int:
    """How much of all prompts the worker has read, as it counts itself."""
    reply = await engine.upstream.request("GET", "/metrics")
    told = read_metrics(reply.body.decode())["llamacpp:prompt_tokens_total"]
    return int(told.value())


@pytest.mark.model
async def test_a_request_that_is_cancelled_while_it_answers_frees_its_slot(
    engine: LlamaCppEngine,
) -> None:
    await cancelled_once_it_is_at_work(engine, endless())


@pytest.mark.model
async def test_a_request_that_is_cancelled_in_its_prompt_frees_its_slot_before_its_end(
    engine: LlamaCppEngine,
) -> None:
    prompt = LONG_TEXT * 90

    await cancelled_once_it_is_at_work(engine, endless(prompt))

    assert await prompt_tokens_read(engine) < await engine.tokens(prompt)


@pytest.mark.model
async def test_the_worker_answers_nobody_without_its_key(gguf: Path) -> None:
    process = WorkerProcess(spec(gguf))
    try:
        await process.start()
        statuses = {}
        for key in (process.key, "wrong", None):
            upstream = open_upstream("http://worker", api_key=key, unix_socket=process.socket)
            statuses[key] = (await upstream.request("GET", "/props")).status
    finally:
        await process.stop()

    assert statuses == {process.key: 200, "wrong": 401, None: 401}


@pytest.mark.model
def test_ctrl_c_lets_a_stream_finish(model_cache: None) -> None:
    # A busy machine writes for long, the longest where threads wait for one another.
    flags = ("--ctx-size", "512", "--threads", "1", "--drain-timeout", "600")
    with serving("smollm2-135m", *flags) as served:
        body = {**endless().body, "stream": True, "max_tokens": 40}
        with httpx.stream(
            "POST", f"{served.url}/v1/chat/completions", json=body, timeout=PATIENCE_S
        ) as response:
            pieces = response.iter_bytes()
            first = next(pieces)
            os.killpg(served.process.pid, signal.SIGINT)  # as a terminal does: to all of them
            stream = read_events(first + b"".join(pieces))

        assert served.process.wait(PATIENCE_S) == 0
    assert (stream.finish_reasons, stream.dones) == (["length"], 1)


@pytest.mark.model
def test_a_dead_model_comes_back_once_its_temporary_folder_does(
    model_cache: None, tmp_path: Path
) -> None:
    folder = tmp_path / "t"
    folder.mkdir()
    with serving("smollm2-135m", "--ctx-size", "512", env={"TMPDIR": str(folder)}) as served:
        (worker,) = worker_pids(served.process.pid)
        shutil.rmtree(folder)
        os.kill(worker, signal.SIGKILL)

        eventually(lambda: "did not come back" in "\n".join(served.errors))
        assert served.get("/health").json()["models"]["smollm2-135m"]["state"] == "restarting"
        folder.mkdir()

        eventually(lambda: served.get("/ready").status_code == 200)
        assert served.chat("hello", max_tokens=2).status_code == 200


@pytest.mark.model
def test_a_worker_that_hangs_or_dies_costs_a_scrape_its_own_sample_only(model_cache: None) -> None:
    def busy_samples(response: httpx.Response) -> int:
        assert response.status_code == 200
        return len(read_metrics(response.text)["octomil:engine_slots_busy"].samples)

    with serving("--models", "smollm2-135m,echo", "--ctx-size", "512") as served:
        (worker,) = worker_pids(served.process.pid)
        eventually(lambda: busy_samples(served.get("/metrics")) == 2)  # both in time
        stop(worker)

        assert busy_samples(served.get("/metrics")) == 1

        with ThreadPoolExecutor() as threads:
            scrapes = [threads.submit(served.get, "/metrics") for _ in range(4)]
            os.kill(worker, signal.SIGKILL)
            assert {busy_samples(scrape.result()) for scrape in scrapes} <= {1, 2}


def open_files() -> int:
    gc.collect()  # what others left behind is closed before it is counted, and not between
    return psutil.Process().num_fds()


async def test_a_worker_that_cannot_be_started_leaves_no_file_open(tmp_path: Path) -> None:
    before = open_files()
    process = WorkerProcess(spec(tmp_path / "model.gguf"))
    shutil.rmtree(Path(process.socket).parent)  # where its log would be

    with pytest.raises(FileNotFoundError):
        await process.start()
    await process.stop()

    assert open_files() == before


async def test_a_file_that_is_no_model_fails_with_its_cause(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(64))
    process = WorkerProcess(spec(broken))

    with pytest.raises(EngineError, match=r"broken\.gguf could not be loaded"):
        await process.start()
    await process.stop()
    assert not Path(process.socket).parent.exists()


async def test_a_worker_that_never_loads_is_reported_by_the_pool(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(64))
    pool = EnginePool(lambda line: None)
    pool.add("broken", LlamaCppEngine(spec(broken)))

    with pytest.raises(EngineError, match="could not be loaded"):
        await pool.start()
    assert pool["broken"].state is EngineState.FAILED
    await pool.close()


def test_parameters_that_would_abort_the_process_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="batch_tokens must be 32 or more, got 1"):
        WorkerSpec(name="x", path=tmp_path, batch_tokens=1)
