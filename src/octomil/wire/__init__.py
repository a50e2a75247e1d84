"""JSON shapes that clients and servers share, as frozen dataclasses."""
