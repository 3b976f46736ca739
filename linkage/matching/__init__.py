"""Matching: from encodings to links and clusters, and how good they are.

`link` reads as the protocol; the hub's worker calls the same steps one by one.
"""

from linkage.matching.answered import Compared, compare_answers, score_compared
from linkage.matching.candidates import Candidates, find_candidates
from linkage.matching.clusters import Clusters, resolve
from linkage.matching.comparison import ComparisonVectors, compare
from linkage.matching.engine import Engine, LocalEngine
from linkage.matching.linker import Linkage, link, pairs_to_compare, score
from linkage.matching.model import ScoredPairs, score_pairs
from linkage.matching.quality import quality_report
from linkage.matching.requests import plan_requests
from linkage.matching.rounds import Former, Known, former_rows, known_levels, update_candidates
from linkage.matching.sources import Pairs, Source

__all__ = [
    "Candidates",
    "Clusters",
    "Compared",
    "ComparisonVectors",
    "Engine",
    "Former",
    "Known",
    "Linkage",
    "LocalEngine",
    "Pairs",
    "ScoredPairs",
    "Source",
    "compare",
    "compare_answers",
    "find_candidates",
    "former_rows",
    "known_levels",
    "link",
    "pairs_to_compare",
    "plan_requests",
    "quality_report",
    "resolve",
    "score",
    "score_compared",
    "score_pairs",
    "update_candidates",
]
