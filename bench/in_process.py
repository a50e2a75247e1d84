"""The baseline of the llama.cpp bench: xllamacpp called directly, in a process of its own.

Run as ``python -m bench.in_process GGUF THREADS``; reads one chat request per line on stdin and
writes one line of timings per request. Settings are those of our worker.
"""

import json
import secrets
import sys
import time
from pathlib import Path
from typing import Any

from bench.streams import Timing, timing_of
from octomil.engines.llama_cpp.spec import WorkerSpec


def load(spec: WorkerSpec) -> Any:
    """The engine as `octomil.engines.llama_cpp.worker` sets it up, on a loopback port."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(spec.path)
    params.n_parallel = spec.slots
    params.n_ctx = spec.slots * spec.context_tokens
    params.n_batch = params.n_ubatch = spec.batch_tokens
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = spec.threads
    params.cache_ram_mib = spec.cache_mib
    params.api_keys = [secrets.token_hex(16)]
    params.verbosity = -1
    return xllamacpp.Server(params)


def chat(server: Any, body: dict[str, Any]) -> Timing:
    arrivals: list[tuple[float, Any]] = []

    def on_chunk(chunk: Any) -> bool:
        arrivals.append((time.perf_counter(), chunk))
        return False

    started_at_s = time.perf_counter()
    server.handle_chat_completions(body, on_chunk)
    return timing_of(started_at_s, arrivals)


def main() -> None:
    path, threads = Path(sys.argv[1]), int(sys.argv[2])
    server = load(WorkerSpec(name="bench", path=path, threads=threads))
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(chat(server, json.loads(line)).as_json()), flush=True)


if __name__ == "__main__":
    main()
