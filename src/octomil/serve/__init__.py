"""`octomil serve`: the OpenAI-compatible, auto-routing node."""
