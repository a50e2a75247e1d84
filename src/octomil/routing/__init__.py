"""Which model answers a query: pure policy, no I/O."""
