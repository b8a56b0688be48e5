"""The `fleet` command, one module a sub-command."""
