"""How well generations go: figures that add up, and versions of a model compared by them. Pure."""
