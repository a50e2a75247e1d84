"""The Python SDK: what the control plane does, as methods."""
