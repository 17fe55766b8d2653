"""Findings as JSON-ready values: every field stands in docs/reference/guard-findings.md. Text only; doors escape it."""

from typing import Any

from relaytrap.clock import rfc3339
from relaytrap.evidence.base import Evidence
from relaytrap.guard.finding import REASONS, Finding, Sighting, Undecided
from relaytrap.guard.guard import Summary
from relaytrap.sip.text import display

__all__ = ["finding_dict", "summary_dict", "undecided_dict"]


def finding_dict(finding: Finding) -> dict[str, Any]:
    """One finding, as far as it is known now."""
    case, rule = finding.case, finding.rule
    return {
        "kind": "finding",
        "rule": case.rule,
        "version": rule.version,
        "level": rule.level,
        "title": rule.title,
        "source": case.source,
        "edge": case.edge,
        "destinations": list(finding.destinations),
        "confidence": case.confidence,
        "requests": finding.requests,
        "answered": finding.answered,
        "methods": dict(finding.methods.most_common()),
        "request_uris": list(finding.request_uris),
        "first_seen": rfc3339(finding.first_ns),
        "last_seen": rfc3339(finding.last_ns),
        "sentence": case.sentence,
        "evidence": [_evidence(each) for each in case.evidence],
        "sightings": [_sighting(each) for each in case.sightings],
        "server": finding.server,
    }


def undecided_dict(undecided: Undecided) -> dict[str, Any]:
    """What could not be decided, for one reason."""
    return {
        "kind": "undecided",
        "reason": undecided.reason,
        "requests": undecided.requests,
        "ways": list(undecided.ways),
        "sentence": REASONS[undecided.reason],
    }


def summary_dict(summary: Summary) -> dict[str, Any]:
    """The counts of all that was looked at."""
    return {
        "kind": "summary",
        "messages": summary.messages,
        "requests": summary.requests,
        "ours": summary.ours,
        "first_seen": rfc3339(summary.first_ns) if summary.messages else None,
        "last_seen": rfc3339(summary.last_ns) if summary.messages else None,
        "handed_on": summary.handed_on,
        "allowed": dict(summary.allowed.most_common()),
        "alarms": summary.alarms,
        "attempts": summary.attempts,
        "undecided": summary.undecided,
        "has_policy": summary.has_policy,
        "untold": dict(summary.untold.most_common()),
        "unread": dict(summary.unread.most_common()),
        "cannot_know": list(summary.gaps),
    }


def _evidence(each: Evidence) -> dict[str, Any]:
    return {
        "rule": each.rule,
        "version": each.version,
        "weight": each.weight,
        "quote": display(each.quote),
        "offset": each.offset,
        "text": each.text,
    }


def _sighting(each: Sighting) -> dict[str, Any]:
    """Where and when a message was seen, and its first line."""
    return {
        "at": rfc3339(each.at_ns),
        "transport": each.transport,
        "source": each.source,
        "source_port": each.source_port,
        "destination": each.destination,
        "destination_port": each.destination_port,
        "line": display(each.line),
        "capture": each.capture,
        "frame": each.frame,
    }
