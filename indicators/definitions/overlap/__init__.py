"""Averages and lines that lie over the price."""
