"""What plaintext Splink and anonlink make of the same files; run by the peers' own Python.

    .venv-peers/bin/python tests/bench/peer_quality.py splink DIRECTORY
    .venv-peers/bin/python tests/bench/peer_quality.py anonlink DIRECTORY
    .venv-peers/bin/python tests/bench/peer_quality.py pseudopeople DIRECTORY SEED

`DIRECTORY` holds `left.csv` and `right.csv`, normalised as our agents do it, empty where missing,
and `case.json`: {"types": {field: type}, "same": true for duplicates within one file, "schema": a
clkhash linkage schema}. `pairs.csv` gets left and right row numbers and a score. `pseudopeople`
writes that package's sample instead: `census.csv` and `security.csv`.
"""

import json
import sys
from itertools import combinations
from pathlib import Path

MOST_BLOCKED = 4_000_000
NAMES = ("given_name", "middle_name", "surname", "full_name")


def splink(directory: Path) -> None:
    """Splink 5 as its tutorials set it up: comparisons by type, u from random pairs, m by EM.

    Blocked on every two fields that leave at most `MOST_BLOCKED` pairs, so that blocking loses
    next to nothing. The probability that two random records match is estimated from rules, as
    its documentation says.
    """
    import pandas as pd
    from splink import Linker, SettingsCreator, block_on
    from splink.internals.duckdb.database_api import DuckDBAPI

    case, tables = _read(directory)
    types, same = case["types"], case["same"]
    for number, table in enumerate(tables):
        table.insert(0, "unique_id", range(len(table)))
        table.insert(0, "source_dataset", "ab"[number])
    rules = _rules(list(types), tables, same=same)
    settings = SettingsCreator(
        link_type="dedupe_only" if same else "link_only",
        comparisons=[_comparison(name, kind) for name, kind in types.items()],
        blocking_rules_to_generate_predictions=[block_on(*rule) for rule in rules],
    )
    api = DuckDBAPI()
    frames = [api.register(table) for n, table in enumerate(tables)]
    linker = Linker(frames[0] if same else frames, settings)
    person = [n for n, kind in types.items() if kind in (*NAMES, "date_of_birth")]
    strict = list(combinations(person, min(3, len(person))))
    linker.training.estimate_probability_two_random_records_match(
        [block_on(*rule) for rule in strict], recall=0.8
    )
    linker.training.estimate_u_using_random_sampling(max_pairs=5e6, seed=1)
    for rule in _training(types):
        linker.training.estimate_parameters_using_expectation_maximisation(
            block_on(*rule), record_sample_proportion=1.0
        )
    found = linker.inference.predict(threshold_match_probability=0.01).as_pandas_dataframe()
    left, right = found["unique_id_l"].to_numpy(), found["unique_id_r"].to_numpy()
    if not same:
        turned = (found["source_dataset_l"] == "b").to_numpy()
        left, right = left.copy(), right.copy()
        left[turned], right[turned] = right[turned], left[turned].copy()
    pd.DataFrame({"left": left, "right": right, "score": found["match_probability"]}).to_csv(
        directory / "pairs.csv", index=False
    )


def _comparison(name: str, kind: str):
    import splink.comparison_library as cl

    if kind in NAMES:
        return cl.NameComparison(name).configure(term_frequency_adjustments=True)
    if kind == "date_of_birth":
        return cl.DateOfBirthComparison(
            name, input_is_string=True, datetime_format="%Y-%m-%d", invalid_dates_as_null=True
        )
    if kind in ("sex", "exact"):
        return cl.ExactMatch(name)
    if kind in ("address", "city"):
        return cl.JaroWinklerAtThresholds(name, [0.9, 0.8]).configure(
            term_frequency_adjustments=True
        )
    return cl.LevenshteinAtThresholds(name, [1, 2])


def _rules(names: list[str], tables: list, *, same: bool) -> list[tuple[str, ...]]:
    """Every two fields that agree in no more pairs than are bearable, or else every three."""
    left, right = tables[0], tables[-1]
    kept = []
    for size in (2, 3):
        for rule in combinations(names, size):
            if any(set(small) <= set(rule) for small in kept):
                continue
            counts = [t.dropna(subset=list(rule)).groupby(list(rule)).size() for t in (left, right)]
            pairs = (counts[0] * counts[1]).dropna().sum() / (2 if same else 1)
            if pairs <= MOST_BLOCKED:
                kept.append(rule)
    return kept


def _training(types: dict) -> list[tuple[str, ...]]:
    """Two rules that hold different fields, so that each field is learnt at least once."""
    of = {kind: name for name, kind in reversed(types.items())}
    names = [of[kind] for kind in ("given_name", "surname", "full_name") if kind in of]
    other = [
        of[kind]
        for kind in ("date_of_birth", "national_id", "phone", "postcode", "address")
        if kind in of
    ]
    return [tuple(names), (other[0],)]


def anonlink(directory: Path) -> None:
    """clkhash's filters of the whole record, anonlink's Dice; greedy one to one afterwards."""
    import pandas as pd
    from anonlink.similarities import dice_coefficient_accelerated
    from clkhash.clk import generate_clks
    from clkhash.schema import from_json_dict

    case, tables = _read(directory)
    schema = from_json_dict(case["schema"])
    filters = [
        generate_clks(table.fillna("").to_numpy().tolist(), schema, b"0123456789abcdef")
        for table in tables
    ]
    if case["same"]:
        filters.append(filters[0])
    scores, (left, right) = dice_coefficient_accelerated(filters, 0.5, k=20)
    found = pd.DataFrame({"left": left, "right": right, "score": scores})
    if case["same"]:
        found = found[found["left"] < found["right"]]
    found.to_csv(directory / "pairs.csv", index=False)


def pseudopeople(directory: Path, seed: int) -> None:
    """The packaged sample with default noise: census and social security."""
    import pseudopeople as made

    census = made.generate_decennial_census(seed=seed)
    security = made.generate_social_security(seed=seed)
    census.to_csv(directory / "census.csv", index=False)
    security.to_csv(directory / "security.csv", index=False)


def _read(directory: Path) -> tuple[dict, list]:
    import pandas as pd

    case = json.loads((directory / "case.json").read_text("utf-8"))
    sides = ("left",) if case["same"] else ("left", "right")
    tables = [
        pd.read_csv(directory / f"{side}.csv", dtype=str, keep_default_na=False).replace("", None)
        for side in sides
    ]
    return case, tables


if __name__ == "__main__":
    if sys.argv[1] == "pseudopeople":
        pseudopeople(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        {"splink": splink, "anonlink": anonlink}[sys.argv[1]](Path(sys.argv[2]))
