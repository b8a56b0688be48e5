"""Statistics of the last rows."""
