"""How far prices move: ranges, channels, bands."""
