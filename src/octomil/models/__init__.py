"""Names to verified files: the catalog, and the sources models are pulled from."""
