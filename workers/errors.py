"""What the fleet raises, by what the caller must do next."""


class FleetError(Exception):
    """This process cannot go on: the message says what to change."""
