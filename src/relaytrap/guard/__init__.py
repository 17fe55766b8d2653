"""The relay signs on the traffic of one's own edge, held against its operator's policy. Pure: observations in, findings
out."""

from relaytrap.guard.finding import RULES, Finding, Undecided
from relaytrap.guard.guard import Guard, Summary
from relaytrap.guard.policy import Policy

__all__ = ["RULES", "Finding", "Guard", "Policy", "Summary", "Undecided"]
