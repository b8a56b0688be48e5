"""Standard output for people."""

import os

from rich.console import Console

PIPED_WIDTH = 1_000


def for_people() -> Console:
    """A console that shows texts as they are, and cuts none where no terminal sets a width.

    Names of instruments and values of scripts are printed: nothing in them is markup.
    """
    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPED_WIDTH
    return console
