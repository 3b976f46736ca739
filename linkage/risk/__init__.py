"""Attack our own encodings before anyone else does.

Pure: arrays in, figures out. The attacks were written from the papers named in each module.
"""

from linkage.risk.bylaw import Evidence, by_law, by_law_grown
from linkage.risk.cliques import by_cliques
from linkage.risk.controls import HARDENINGS, control_trial, hardened_trial, plain_clk, unseeded
from linkage.risk.differences import by_differences
from linkage.risk.law import Choices, Law, Majorities
from linkage.risk.leakage import Leakage, Repeats, leakage, repeats, signature
from linkage.risk.network import by_network
from linkage.risk.outcome import Outcome, judge, pooled, upper_bound
from linkage.risk.paired import by_known_pairs
from linkage.risk.patterns import by_frequency, by_patterns, first_of_equal
from linkage.risk.rounds import by_round
from linkage.risk.view import NOBODY, Register, Trial, View

__all__ = [
    "HARDENINGS",
    "NOBODY",
    "Choices",
    "Evidence",
    "Law",
    "Leakage",
    "Majorities",
    "Outcome",
    "Register",
    "Repeats",
    "Trial",
    "View",
    "by_cliques",
    "by_differences",
    "by_frequency",
    "by_known_pairs",
    "by_law",
    "by_law_grown",
    "by_network",
    "by_patterns",
    "by_round",
    "control_trial",
    "first_of_equal",
    "hardened_trial",
    "judge",
    "leakage",
    "plain_clk",
    "pooled",
    "repeats",
    "signature",
    "unseeded",
    "upper_bound",
]
