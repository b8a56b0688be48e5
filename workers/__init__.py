"""The fleet: settings, shard ownership, the processing loop, the `fleet` command."""
