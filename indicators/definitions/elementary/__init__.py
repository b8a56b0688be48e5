"""Words that expressions and rules are written with."""
