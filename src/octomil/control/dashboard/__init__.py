"""What the control plane shows to people with a browser."""
