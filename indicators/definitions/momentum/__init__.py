"""How fast prices change, and how that compares with the recent past."""
