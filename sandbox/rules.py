"""The table of vetting rules: what each one asks the author to write instead."""

from dataclasses import dataclass
from typing import Final

from sandbox.report import Severity


@dataclass(frozen=True)
class Rule:
    """`instead` is printed with every finding of the rule."""

    severity: Severity
    instead: str


def _error(instead: str) -> Rule:
    return Rule("error", instead)


RULES: Final[dict[str, Rule]] = {
    "size": _error("Make the script smaller or split it in two scripts"),
    "text": _error("Write plain text in UTF-8 without control or direction characters"),
    "encoding": _error("Remove the coding line: scripts are UTF-8"),
    "syntax": _error("Correct the syntax"),
    "depth": _error("Flatten the expression or block, or move parts into functions"),
    "identifier": _error("Use ASCII letters, digits and _ in names"),
    "entry": _error("Define build(ta), or on_bar(bar, state) with an optional init()"),
    "name": _error("Use a name that scripts have; docs/scripts.md lists them"),
    "underscore": _error("Choose a name that does not start with _"),
    "reserved": _error("Choose another name"),
    "attribute": _error("Use an attribute that scripts may read; docs/scripts.md lists them"),
    "foreign-write": _error(
        "Change only items of your own data and attributes of your own objects"
    ),
    "import": _error("Import only what scripts have; docs/scripts.md lists it"),
    "statement": _error("Use plain functions, if, for, while and try"),
    "class": _error("Write a plain class with __init__ and methods"),
    "exception": _error("Name the exception you expect, for instance ValueError"),
    "format": _error("Write an f-string with fixed widths up to 100, for instance f'{x:.2f}'"),
    "constant": _error("Use a smaller number; a bomb like this would only be stopped by a limit"),
    "endless": _error("Leave the loop with break or return, or loop over a range"),
    "restricted": _error("Write it without this construct"),
    "build": _error("Correct build(): it runs once, and must return nodes made by ta"),
    "load": _error("Correct the module level, init() or build(): they run before the first bar"),
    "facade": Rule(
        "warning", "This name is missing at run time; docs/scripts.md lists what is there"
    ),
}
