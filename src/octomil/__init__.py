"""Octomil: run, route, ship and train AI models on your own machines."""

from octomil._version import __version__

__all__ = ["__version__"]
