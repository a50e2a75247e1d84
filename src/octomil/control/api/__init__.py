"""HTTP: one router per resource, and what all requests go through."""
