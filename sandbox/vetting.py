"""Vetting: source text in, findings and vetted code out. It explains; the jail contains."""

import ast
import hashlib
import types
import warnings
from typing import Literal

from sandbox.limits import Limits
from sandbox.report import Finding, Report
from sandbox.rules import RULES
from sandbox.vetting_scan import Scan, scan
from sandbox.vetting_text import foreign_identifiers, text_marks
from sandbox.vetting_tree import ScriptTransformer

FILENAME = "<script>"
FINDINGS_MAX = 50
SEEN_CHARS_MAX = 200
ENTRIES = {"on_bar": 2, "build": 1, "init": 0}
Style = Literal["imperative", "declarative", "unknown"]
_TOO_MUCH = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)


class Findings:
    """Gathers findings, each rule once at a place, up to a bound."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, int, int], Finding] = {}

    def add(self, rule: str, line: int, column: int, seen: str) -> None:
        """Note a finding."""
        if len(self.found) < FINDINGS_MAX:
            severity, instead = RULES[rule].severity, RULES[rule].instead
            finding = Finding(rule, severity, line, column, _clean(seen), instead)
            self.found.setdefault((rule, line, column), finding)

    def at(self, rule: str, node: ast.AST, seen: str) -> None:
        """Note a finding at the place of a node."""
        column = getattr(node, "col_offset", -1) + 1
        self.add(rule, getattr(node, "lineno", 0), column, seen)

    @property
    def refused(self) -> bool:
        """True once something was found that speaks against the script."""
        return any(finding.severity == "error" for finding in self.found.values())


def vet(source: str, limits: Limits | None = None) -> Report:
    """Everything that speaks against running `source`; nothing is run, nothing is read."""
    return vetted_code(source, limits or Limits())[0]


def vetted_code(source: str, limits: Limits) -> tuple[Report, types.CodeType | None]:
    """The report, and the code to run when the report accepts."""
    findings = Findings()
    style: Style = "unknown"
    code = None
    for mark in text_marks(source, limits.source_bytes_max):
        findings.add(*mark)
    if not findings.refused:
        tree = _parse(source, findings)
        if tree is not None:
            names = scan(tree)
            for mark in foreign_identifiers(source, names.words):
                findings.add(*mark)
            style = _style(names)
            code = _walk(tree, names, findings, limits)
    ordered = sorted(findings.found.values(), key=lambda found: (found.line, found.column))
    report = Report(source_digest(source), style, tuple(ordered))
    return report, code if report.accepted else None


def source_digest(source: str) -> str:
    """Name of a source by its content: 16 hex digits."""
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _clean(text: str) -> str:
    printable = "".join(letter if letter.isprintable() else "?" for letter in text)
    return printable[:SEEN_CHARS_MAX]


def _parse(source: str, findings: Findings) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source, FILENAME)
    except _TOO_MUCH as error:
        _refuse(error, findings)
        return None


def _refuse(error: BaseException, findings: Findings) -> None:
    if isinstance(error, SyntaxError):
        findings.add("syntax", error.lineno or 0, error.offset or 0, str(error.msg).capitalize())
    elif isinstance(error, RecursionError | MemoryError):
        findings.add("depth", 0, 0, "The script is nested too deeply to be parsed")
    else:
        findings.add("syntax", 0, 0, str(error))


def _style(names: Scan) -> Style:
    if "build" in names.functions:
        return "declarative"
    return "imperative" if "on_bar" in names.functions else "unknown"


def _walk(
    tree: ast.Module, names: Scan, findings: Findings, limits: Limits
) -> types.CodeType | None:
    if names.nodes > limits.nodes_max:
        seen = f"The script has {names.nodes} syntax nodes, nodes_max is {limits.nodes_max}"
        findings.add("size", 0, 0, seen)
    if names.depth > limits.depth_max:
        seen = f"Syntax nested {names.depth} deep, depth_max is {limits.depth_max}"
        findings.at("depth", names.deepest or tree, seen)
    if findings.refused:
        return None
    _check_entries(names, findings)
    restricted = ScriptTransformer(names, findings.at).visit(tree)
    if findings.refused:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(ast.fix_missing_locations(restricted), FILENAME, "exec", 0, True)
    except _TOO_MUCH as error:  # some syntax errors appear only here
        _refuse(error, findings)
        return None
    return code


def _check_entries(names: Scan, findings: Findings) -> None:
    entries = [name for name in ("on_bar", "build") if name in names.functions]
    if len(entries) != 1:
        seen = "The script defines both styles" if entries else "Nothing to run"
        findings.add("entry", 0, 0, seen)
    for name, arity in ENTRIES.items():
        function = names.functions.get(name)
        if function is not None and not _takes(function.args, arity):
            findings.at("entry", function, f"{name}() must take {arity} plain parameters")


def _takes(arguments: ast.arguments, count: int) -> bool:
    plain = len(arguments.posonlyargs) + len(arguments.args)
    others = arguments.kwonlyargs or arguments.vararg or arguments.kwarg
    return plain == count and not others
