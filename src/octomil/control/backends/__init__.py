"""What answers for models: one file per kind of server, one catalog that says in which order."""
