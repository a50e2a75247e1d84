"""What a result depends on, where several benches share it."""

NODE = (
    *("octomil/asgi", "octomil/batch.py", "octomil/compose.py", "octomil/config.py"),
    *("octomil/engines", "octomil/http/retry.py", "octomil/http/sse.py", "octomil/routing"),
    *("octomil/serve", "octomil/wire/constraints.py", "octomil/wire/openai.py"),
    *("epochly/inference/breaker", "epochly/inference/context", "epochly/inference/metrics"),
)
"""The serving node, from the socket to the engine."""
