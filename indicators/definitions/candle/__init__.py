"""Candles: the patterns that TA-Lib knows, and bars drawn in other ways.

A pattern is a rule over the last candles (`patterns.pattern` files it); the sizes that rules ask
for are in `shapes`.
"""
