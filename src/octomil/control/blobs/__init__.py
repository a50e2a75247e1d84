"""Bytes under their digest: local files, or an object store."""
