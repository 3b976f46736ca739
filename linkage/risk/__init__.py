"""Attack our own encodings before anyone else does.

Pure: arrays in, figures out. The attacks were written from the papers named in each module.
"""

from linkage.risk.audit import CONTROL_FLOOR, FEWEST, Finding, Policy, attack, unseeded, worst
from linkage.risk.bylaw import by_law, by_law_grown
from linkage.risk.controls import HARDENINGS, control_trial, hardened_trial
from linkage.risk.differences import by_differences
from linkage.risk.law import Choices, Law, Majorities
from linkage.risk.leakage import Leakage, leakage, signature
from linkage.risk.outcome import Outcome, judge, pooled, upper_bound
from linkage.risk.rounds import by_round
from linkage.risk.view import NOBODY, Register, Trial, View

__all__ = [
    "CONTROL_FLOOR",
    "FEWEST",
    "HARDENINGS",
    "NOBODY",
    "Choices",
    "Finding",
    "Law",
    "Leakage",
    "Majorities",
    "Outcome",
    "Policy",
    "Register",
    "Trial",
    "View",
    "attack",
    "by_differences",
    "by_law",
    "by_law_grown",
    "by_round",
    "control_trial",
    "hardened_trial",
    "judge",
    "leakage",
    "pooled",
    "signature",
    "unseeded",
    "upper_bound",
    "worst",
]
