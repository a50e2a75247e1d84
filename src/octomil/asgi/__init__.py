"""What every server of ours stands on: sockets, signals, draining, request ids."""
