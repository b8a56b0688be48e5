"""Strangers' scripts: vetting, the script language, the jail."""

from sandbox.breaker import Breaker
from sandbox.errors import (
    BadCapsule,
    BadScript,
    JailFailed,
    SandboxError,
    SandboxUnavailable,
)
from sandbox.limits import Limits
from sandbox.report import Finding, Report
from sandbox.results import Failure, Results, Signal
from sandbox.script import Bars, Script
from sandbox.vetting import vet

__all__ = [
    "BadCapsule",
    "BadScript",
    "Bars",
    "Breaker",
    "Failure",
    "Finding",
    "JailFailed",
    "Limits",
    "Report",
    "Results",
    "SandboxError",
    "SandboxUnavailable",
    "Script",
    "Signal",
    "vet",
]
