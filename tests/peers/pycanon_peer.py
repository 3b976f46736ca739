"""pycanon's k, l and t, to compare with; run by the peers' own Python (`make peers`).

Standard input: one JSON list of cases, each `{"columns": {name: [text, ...]}, "quasi": [name, ...],
"sensitive": name}`. Standard output: per case `[k, l, t]`.
"""

import json
import sys

import pandas as pd
from pycanon import anonymity


def measure(case: dict) -> list:
    frame = pd.DataFrame(case["columns"])
    quasi, sensitive = case["quasi"], [case["sensitive"]]
    return [
        int(anonymity.k_anonymity(frame, quasi)),
        int(anonymity.l_diversity(frame, quasi, sensitive)),
        float(anonymity.t_closeness(frame, quasi, sensitive)),
    ]


if __name__ == "__main__":
    print(json.dumps([measure(case) for case in json.load(sys.stdin)]))
