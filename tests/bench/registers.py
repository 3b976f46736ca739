"""A file and a register of made-up people with known truth, for `tests.bench.attacked`."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from linkage.agent.profile import Profiler
from linkage.agent.targets import tokens_of
from linkage.agreement import IdentifierField, Manifest
from linkage.agreement.draft import draft_manifest
from linkage.agreement.draft_keys import Rule
from linkage.agreement.manifest import Minhash, Partner, Saul
from linkage.encoding import normalise_column
from linkage.synthetic.people import make_people
from tests.bench.files import PERSON_TYPES, Habits, febrl4, records
from tests.bench.linking import TERMS, normalised


class Files:
    """A file and a register of equal size that share some people; no two people are alike.

    Attributes:
        view, register: by field, normalised values; the file's rows are in random order.
        truth: who of the register each row of the file is.
        personal: fields of names and birth dates.
    """

    personal: tuple[str, ...] = ("given", "surname", "birth")

    def __init__(self, rows: int, overlap: float, seed: int, *, errors: float = 0.0) -> None:
        rng, source = np.random.default_rng(seed), random.Random(seed)
        shared = round(rows * overlap)
        # A sixth has no middle name, or is somebody's namesake.
        people = make_people(round(1.3 * (2 * rows - shared)) + 200, rng)
        perfect = Habits(
            rarely=0,
            misspelt=0,
            wrong_birth=0,
            swapped=0,
            initial=0,
            nickname=0,
            renamed=0,
            moved=0,
        )
        self.fields = [IdentifierField(name=n, type=t) for n, t in PERSON_TYPES.items()]
        table = pd.DataFrame(self._cells(records(people, perfect, source)))
        table = table.dropna().drop_duplicates().reset_index(drop=True)
        table = table.drop_duplicates(list(self.personal)).sample(frac=1, random_state=seed)
        assert len(table) >= 2 * rows - shared
        order = rng.permutation(rows)
        left, right = table.iloc[order], table.iloc[rows - shared : 2 * rows - shared]
        if errors:
            right = self._wrong(right, errors, rng)
        self.view = {n: left[n].to_numpy(dtype=object) for n in table}
        self.register = {n: right[n].to_numpy(dtype=object) for n in table}
        self.truth = np.where(order >= rows - shared, order - (rows - shared), -1)

    def _cells(self, raw: pd.DataFrame) -> dict[str, Any]:
        return {f.name: normalise_column(f, raw[f.name].tolist()).values for f in self.fields}

    def _wrong(self, table: pd.DataFrame, errors: float, rng: np.random.Generator) -> pd.DataFrame:
        """So many values of every field are another person's."""
        found = {
            name: np.where(rng.random(len(table)) < errors, rng.permutation(column), column)
            for name, column in table.items()
        }
        return pd.DataFrame(found)

    def tokens(self, names: tuple[str, ...] = ()) -> tuple[sp.csr_matrix, sp.csr_matrix]:
        """The file's and the register's tokens, over one vocabulary; without names, personal."""
        names = names or self.personal
        both = {n: np.append(self.view[n], self.register[n]) for n in names}
        found = tokens_of([f for f in self.fields if f.name in names], both)
        return found[: len(self.truth)], found[len(self.truth) :]

    def drafted(self, scheme: Minhash | Saul) -> Manifest:
        """The manifest that partners with such files would draft."""
        return self.drafted_by(scheme.name).model_copy(update={"scheme": scheme})

    def drafted_by(self, scheme: str, rule: Rule | None = None) -> Manifest:
        """The same with that scheme's defaults, by its rule for match keys or another."""
        profiles = []
        for name, columns in (("north", self.view), ("south", self.register)):
            profiler = Profiler(self.fields)
            profiler.add(columns)
            profiles.append(profiler.result().share(Partner(name=name, unique=True)))
        return draft_manifest(profiles, replace(TERMS, scheme=scheme), rule).manifest


class Febrl(Files):
    """The public files of FEBRL 4: people in both, whose copies with mistakes are the register.

    Whose record lacks a field in either file, or is not the only one of a name and birth date, is
    left out.
    """

    personal = ("given_name", "surname", "date_of_birth")

    def __init__(self, seed: int) -> None:
        case = febrl4("full")
        self.fields = list(case.fields)
        tables = []
        for partner, cells in case.files.items():
            table = pd.DataFrame(normalised(case, partner)).set_index(cells["truth"])
            tables.append(table.dropna().drop_duplicates(list(self.personal), keep=False))
        both = tables[0].index.intersection(tables[1].index)
        order = np.random.default_rng(seed).permutation(len(both))
        left, right = tables[0].loc[both[order]], tables[1].loc[both]
        self.view = {n: left[n].to_numpy(dtype=object) for n in left}
        self.register = {n: right[n].to_numpy(dtype=object) for n in right}
        self.truth = order
