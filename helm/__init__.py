"""The chart, and what is generated for it."""
