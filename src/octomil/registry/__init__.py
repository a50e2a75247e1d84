"""What a model registry decides by: semantic versions, lifecycle, manifests, lineage. Pure."""
