"""Cycles: filters that leave the turns of the price."""
