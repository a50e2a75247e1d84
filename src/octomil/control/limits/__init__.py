"""Rate limits that replicas share."""
