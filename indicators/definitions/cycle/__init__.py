"""Cycles in prices: their length, their phase, and waves that follow them."""
