"""Attack our own encodings before anyone else does.

Pure: arrays in, figures out. The attacks were written from the papers named in each module.
"""

from linkage.risk.audit import CONTROL_FLOOR, FEWEST, Finding, Policy, attack, unseeded, worst
from linkage.risk.controls import control_trial
from linkage.risk.leakage import Leakage, leakage, signature
from linkage.risk.outcome import Outcome, judge, pooled, upper_bound
from linkage.risk.view import NOBODY, Register, Trial, View

__all__ = [
    "CONTROL_FLOOR",
    "FEWEST",
    "NOBODY",
    "Finding",
    "Leakage",
    "Outcome",
    "Policy",
    "Register",
    "Trial",
    "View",
    "attack",
    "control_trial",
    "judge",
    "leakage",
    "pooled",
    "signature",
    "unseeded",
    "upper_bound",
    "worst",
]
