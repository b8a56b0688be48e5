"""Writes the golden capsules; see the package's docstring for when."""

from tests.indicators.test_golden import write

write()
