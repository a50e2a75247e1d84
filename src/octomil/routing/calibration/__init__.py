"""Fitting the complexity model to logs, and measuring what it is worth. Needs numpy."""
