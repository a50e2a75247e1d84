"""The worker process: one model behind a Unix socket, and nothing else.

Started as ``python -m octomil.engines.llama_cpp.worker LIFELINE_FD STATUS_FD``. The first line on
the lifeline says what to run; after that nothing is ever written to it. Its end means that the
parent is gone, however it went, and then so is the worker.
"""

import json
import os
import shutil
import sys
import threading
from typing import Any

MAX_SPEC_BYTES = 64 * 1024


def main(lifeline: int, status: int) -> None:
    """Load the model, report on `status`, and serve until the lifeline ends."""
    with os.fdopen(os.dup(lifeline), "rb", buffering=0) as pipe:
        config = json.loads(_read_line(pipe))
    _die_with(lifeline, armed=True)
    try:
        server = _serve(config)
    except (RuntimeError, ValueError, OSError, ImportError) as error:
        _report(status, {"error": f"{type(error).__name__}: {error}"})
        os._exit(1)
    _die_with(lifeline, armed=False)
    _report(status, {"ready": True})
    watcher = threading.Thread(target=_wait_for_end, args=(lifeline, config["folder"]), daemon=True)
    watcher.start()
    watcher.join()
    del server


def _serve(config: dict[str, Any]) -> object:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = config["path"]
    params.model_alias = {config["name"]}
    params.hostnames = [config["socket"]]
    params.api_keys = [config["key"]]
    params.n_parallel = config["slots"]
    params.n_ctx = config["slots"] * config["context_tokens"]  # divided among the slots
    params.n_batch = params.n_ubatch = config["batch_tokens"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = config["threads"]
    params.cache_ram_mib = config["cache_mib"]
    params.endpoint_slots = params.endpoint_metrics = True
    params.verbosity = -1
    if config["kind"] == "embedding":
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server: object = xllamacpp.Server(params)
    return server


def _read_line(pipe: Any) -> bytes:
    """Read one line byte by byte, so that nothing after it is consumed."""
    line = bytearray()
    while not line.endswith(b"\n") and len(line) < MAX_SPEC_BYTES:
        byte = pipe.read(1)
        if not byte:
            os._exit(0)  # the parent went before it said anything
        line += byte
    return bytes(line)


def _die_with(lifeline: int, *, armed: bool) -> None:
    """Let the kernel end this process when the lifeline ends.

    Loading holds the interpreter lock for seconds, so no thread could notice; a signal does. Only
    while loading: afterwards a thread waits, which can clean up.
    """
    if not hasattr(os, "O_ASYNC"):
        return
    import fcntl

    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
    flags = flags | os.O_ASYNC if armed else flags & ~os.O_ASYNC
    fcntl.fcntl(lifeline, fcntl.F_SETFL, flags)


def _wait_for_end(lifeline: int, folder: str) -> None:
    while os.read(lifeline, 1):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _report(status: int, message: dict[str, Any]) -> None:
    os.write(status, json.dumps(message).encode() + b"\n")
    os.close(status)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
