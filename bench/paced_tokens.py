"""An upstream that sends a token every 5 ms and says in each when it was sent.

Run it as ``python -m bench.paced_tokens --port P``. `POST /stream` is answered with events, each
with the machine's monotonic time; `POST /api/v1/inference/events` with what a control plane says.
"""

import argparse
import asyncio
import json
import time

import uvloop

TOKENS = 256
PACE_S = 0.005

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_TAKEN = b'{"counted":1,"repeated":0,"ignored":0}'


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer what comes on one connection, until it ends."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode().lower().split("\r\n")
            lengths = [
                line.partition(":")[2] for line in lines if line.startswith("content-length")
            ]
            await reader.readexactly(int(lengths[0]) if lengths else 0)
            if lines[0].startswith("post /stream "):
                await _stream(writer)
            else:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
                writer.write(b"content-length: %d\r\n\r\n%b" % (len(_TAKEN), _TAKEN))
    except asyncio.IncompleteReadError:
        writer.close()


async def _stream(writer: asyncio.StreamWriter) -> None:
    writer.write(_HEAD)
    began_s = time.perf_counter()
    for number in range(1, TOKENS + 1):
        # On an absolute schedule, so that a late turn does not stretch the stream.
        await asyncio.sleep(began_s + number * PACE_S - time.perf_counter())
        event = json.dumps({"token": f" token{number}", "sent_at_s": time.perf_counter()})
        data = f"data: {event}\n\n".encode()
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))
    writer.write(b"0\r\n\r\n")


async def serve(port: int) -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.paced_tokens")
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
