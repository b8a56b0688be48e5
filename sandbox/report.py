"""What vetting found, as data."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One thing vetting has to say; `line` and `column` count from 1, 0 is the whole script."""

    rule: str
    severity: Severity
    line: int
    column: int
    seen: str
    instead: str

    def __str__(self) -> str:
        where = f"{self.line}:{self.column}: " if self.line else ""
        return f"{where}{self.severity} [{self.rule}] {self.seen}. {self.instead}"


@dataclass(frozen=True)
class Report:
    """Everything found in one script, in order of line; `digest` names the source."""

    digest: str
    style: Literal["imperative", "declarative", "unknown"]
    findings: tuple[Finding, ...]

    @property
    def accepted(self) -> bool:
        """True if nothing of severity `error` was found."""
        return not any(finding.severity == "error" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """The report as plain data, for `--json` and for the wire."""
        return {
            "accepted": self.accepted,
            "digest": self.digest,
            "style": self.style,
            "findings": [asdict(finding) for finding in self.findings],
        }
