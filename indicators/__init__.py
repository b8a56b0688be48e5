"""The indicator engine: series, operators, plans, the catalogue, bars from ticks."""
