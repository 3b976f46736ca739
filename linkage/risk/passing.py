"""The inner loops of labelled assignment: what rows that were compared tell each other.

Arrays are as in `labelled` and `people`; beliefs are logs, up to a constant for each row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

MOST_SAID, LEAST_SAID = 8, 0.004
"""Of a neighbour so many candidates are told on, of whom as much is believed."""
_NOTHING = 1e-9


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def begin(anybody: Any, columns: Any, row: Any, candidates: Any, out: Any) -> None:
    """What each answer says of its row's candidates, whoever the neighbour is."""
    for s in range(len(row)):
        for k in range(candidates.shape[1]):
            out[s, k] = 0
            for f in range(columns.shape[1]):
                out[s, k] += anybody[columns[s, f], candidates[row[s], k]]


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def add_up(heard: Any, start: Any, prior: Any, out: Any) -> None:
    """What is believed of each row's candidates: what is known before, and what it heard."""
    for i in range(len(start) - 1):
        out[i] = prior[i]
        for s in range(start[i], start[i + 1]):
            out[i] += heard[s]


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def pass_on(
    heard: Any,
    total: Any,
    base: Any,
    outside: Any,
    row: Any,
    other: Any,
    back: Any,
    seen: Any,
    candidates: Any,
    ratio: Any,
    levels: Any,
    starts: Any,
    tokens: Any,
    weights: Any,
    level_of: Any,
    out: Any,
) -> None:
    """What every neighbour tells: a mean over its likely candidates, and over anybody."""
    count = candidates.shape[1]
    belief = np.empty(count)
    said = np.empty(count)
    chosen = np.empty(min(MOST_SAID, count), np.int64)
    for s in range(len(row)):
        i, j = row[s], other[s]
        high = outside[j]
        for k in range(count):
            belief[k] = total[j, k] - heard[back[s], k]
            high = max(high, belief[k])
        sum_ = np.exp(outside[j] - high)
        for k in range(count):
            belief[k] = np.exp(belief[k] - high)
            sum_ += belief[k]
        likeliest(belief, chosen)
        rest = 1.0
        for c in chosen:
            if belief[c] > LEAST_SAID * sum_:
                rest -= belief[c] / sum_
        for k in range(count):
            said[k] = max(rest, 1e-6) * np.exp(base[s, k])
        for c in chosen:
            if belief[c] <= LEAST_SAID * sum_:
                break
            about = (ratio, levels, starts, tokens, weights, level_of)
            _tell(belief[c] / sum_, candidates[j, c], candidates[i], seen[s], about, said)
        for k in range(count):
            out[s, k] = np.log(max(said[k], 1e-30))


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _tell(share: Any, v: Any, candidates: Any, seen: Any, about: Any, said: Any) -> None:
    """Add how well each candidate fits a neighbour who is so likely to be a person `v`."""
    ratio, levels, starts, tokens, weights, level_of = about
    for k in range(len(candidates)):
        u, fits = candidates[k], share
        if u == v:
            continue
        for f in range(len(seen)):
            if levels.shape[1] > 0:
                level = levels[f, v, u]
            else:
                level = level_between(u, v, f, starts, tokens, weights, level_of)
            fits *= ratio[f, seen[f], level]
            if fits < _NOTHING:
                break
        said[k] += fits


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def level_between(
    u: Any, v: Any, f: Any, starts: Any, tokens: Any, weights: Any, level_of: Any
) -> Any:
    """Of two people's likeness in a field, whose tokens ascend."""
    x, y = starts[u, f], starts[v, f]
    cosine = 0.0
    while x < starts[u, f + 1] and y < starts[v, f + 1]:
        if tokens[x] == tokens[y]:
            cosine += weights[x] * weights[y]
            x += 1
            y += 1
        elif tokens[x] < tokens[y]:
            x += 1
        else:
            y += 1
    return level_of[int(min(cosine, 1.0) * (len(level_of) - 1) + 0.5)]


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def likeliest(belief: Any, out: Any) -> None:
    """The places of the largest, in order."""
    most = len(out)
    filled = 0
    for k in range(len(belief)):
        if filled == most and belief[k] <= belief[out[most - 1]]:
            continue
        if filled < most:
            filled += 1
        at = filled - 1
        while at > 0 and belief[out[at - 1]] < belief[k]:
            out[at] = out[at - 1]
            at -= 1
        out[at] = k


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def greedy(row: Any, person: Any, found: Any, taken: Any) -> None:
    for i in range(len(row)):
        if found[row[i]] < 0 and not taken[person[i]]:
            found[row[i]] = person[i]
            taken[person[i]] = True
