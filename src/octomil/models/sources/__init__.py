"""Where model files come from: one file per source."""
