"""Symbols and their slots, in order of first appearance."""


class SymbolTable:
    """Bounded two-way table between symbols and slots."""

    names: list[str]

    def __init__(self, symbols_max: int = 100_000) -> None:
        raise NotImplementedError

    def save(self) -> bytes:
        """The table as bytes."""
        raise NotImplementedError

    @classmethod
    def load(cls, blob: bytes, symbols_max: int = 100_000) -> "SymbolTable":
        """The table that `save` wrote."""
        raise NotImplementedError
