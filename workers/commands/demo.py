"""`fleet demo`: an embedded server, a market, workers, a live table; ends with a summary."""

REFRESH_S = 0.5
CHAOS_S = 5.0
SETTLE_S = 3.0
PLAIN_LINE_S = 5.0
NS_PER_S = 1_000_000_000
