"""The smoke test: a release is tried, in a process of its own, before anything depends on it."""
