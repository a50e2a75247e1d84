"""The version, in one place and without importing package metadata (which costs 30 ms)."""

__version__ = "0.1.0"
