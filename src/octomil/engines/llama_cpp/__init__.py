"""llama.cpp, in a worker process per model.

A process of its own, because loading a model holds the interpreter lock for seconds and some
parameters abort the whole process. The worker serves OpenAI's wire form on a Unix socket that only
this user can reach; it dies with its parent, whatever kills that.
"""
