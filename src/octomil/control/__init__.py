"""`octomil up`: the control plane, its API, services, stores and background jobs."""
