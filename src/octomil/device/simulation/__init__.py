"""Simulated agents by the thousand, over the API that real ones use."""
