"""What was gained and lost."""
