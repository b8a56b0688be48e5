"""Price together with traded volume."""
