"""What crosses Redis: keys, codecs, the shard log with its fenced commit, signals, lag."""
