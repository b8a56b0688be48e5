"""Whether there is a trend, how strong it is, and where it ends."""
