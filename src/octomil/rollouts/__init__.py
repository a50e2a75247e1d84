"""How a version comes to a fleet: buckets, plans, states, gates, and the next step. Pure."""
