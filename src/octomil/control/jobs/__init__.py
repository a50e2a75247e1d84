"""What runs on a timer, as the API runs on requests."""
