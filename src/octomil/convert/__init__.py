"""Model files of others: told apart by content, searched for code, and converted in a sandbox."""
