"""Tables and drawings of what `tests.bench.frontier` measured, from its file alone."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from linkage.reports.drawing import colours
from linkage.risk import upper_bound
from tests.bench.settings import LARGE, MADE

SCHEMES = ("clk-v1", "saul-v1", "minhash-v1")
ENCODED = {False: "match keys", True: "whole record"}
KNOWN, UNKNOWN = "one person in ten known", "nothing known"
SIDE = 330
MOST_ROWS = 5_000
"""Of larger files too few settings are attacked to stand beside each other."""
LEAST_RECALL = 0.8
"""What finds less is in the tables alone."""

Row = dict[str, Any]
Found = dict[str, Any]


def tables(found: Found) -> str:
    """Markdown: every setting; then sizes, overlaps and errors; public files; every linked file."""
    return "\n".join([_settings(found), _grounds(found), _public(found), _linkages(found)])


def _settings(found: Found) -> str:
    every = _made(found)
    full = [c for c in every if c["overlap"] == 1 and not c["errors"] and c["rows"] <= MOST_ROWS]
    sizes = sorted({c["rows"] for c in full})
    means = _means(found)
    lines = []
    for (title, whole), cells in _by_setting(full).items():
        at = {c["rows"]: c for c in cells}
        last = at[max(at)]
        attacked = [
            _shown(at[n], known) if n in at else "" for known in (False, True) for n in sizes
        ]
        linked = [f"{mean:.3f}" for mean in means.get((title, whole), ())] or ["", ""]
        made = f"{1e4 * last['encode_seconds'] / last['rows']:.1f}"
        lines.append([title, ENCODED[whole], f"{last['bytes']:,}", made, *attacked, *linked])
    heads = [f"{known}, n = {n:,}" for known in (UNKNOWN, KNOWN) for n in sizes]
    return _table(
        ["scheme", "encoded", "bytes", "CPU s for 10,000", *heads, "candidate recall", "F1"], lines
    )


def _grounds(found: Found) -> str:
    names = {(s.title, s.whole): s.name for s in LARGE}
    lines: dict[tuple[int, float, float], dict[str, str]] = defaultdict(dict)
    for cell in _made(found):
        if name := names.get((cell["title"], cell["whole"])):
            shown = [_shown(cell, known) for known in (False, True)]
            lines[cell["rows"], -cell["overlap"], cell["errors"]][name] = "; ".join(shown)
    body = [
        [f"{n:,}", f"{-o:.0%}", f"{e:.0%}", *(by.get(name, "") for name in names.values())]
        for (n, o, e), by in sorted(lines.items())
    ]
    return _table(["n", "in both", "wrong", *names.values()], body)


def _public(found: Found) -> str:
    public = [c for c in _pooled(found["cells"].values()) if c["file"] != MADE]
    lines = [
        [
            title,
            ENCODED[whole],
            cell["file"],
            f"{cell['rows']:,}",
            *(_shown(cell, k) for k in (False, True)),
        ]
        for (title, whole), cells in _by_setting(public).items()
        for cell in cells
    ]
    return _table(["scheme", "encoded", "file", "n", UNKNOWN, KNOWN], lines)


def _made(found: Found) -> list[Row]:
    return [cell for cell in _pooled(found["cells"].values()) if cell["file"] == MADE]


def _linkages(found: Found) -> str:
    files = list(dict.fromkeys(one["file"] for one in found["linkages"].values()))
    lines = []
    for (title, whole), rows in _by_setting(found["linkages"].values()).items():
        at = {one["file"]: one for one in rows}
        cells = [
            f"{at[f]['candidate_recall']:.3f}; {at[f]['f1']:.3f}" if f in at else "" for f in files
        ]
        lines.append([title, ENCODED[whole], *cells])
    return _table(["scheme", "encoded", *(f"{f}: recall; F1" for f in files)], lines)


def _by_setting(rows: Iterable[Row]) -> dict[tuple[str, bool], list[Row]]:
    """Rows of each setting, scheme by scheme."""
    found: dict[tuple[str, bool], list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda r: (SCHEMES.index(r["scheme"]), r["whole"], r["title"])):
        found[row["title"], row["whole"]].append(row)
    return found


def _means(found: Found) -> dict[tuple[str, bool], tuple[float, float]]:
    """Candidate recall and F1, of settings that were linked in every file."""
    files = {one["file"] for one in found["linkages"].values()}
    return {
        setting: (
            sum(r["candidate_recall"] for r in rows) / len(rows),
            sum(r["f1"] for r in rows) / len(rows),
        )
        for setting, rows in _by_setting(found["linkages"].values()).items()
        if len(rows) == len(files)
    }


def _pooled(cells: Iterable[Row]) -> list[Row]:
    """Cells that differ in their seed alone as one, with each attack's outcomes pooled."""
    found: dict[Any, list[Row]] = defaultdict(list)
    for cell in sorted(cells, key=lambda cell: cell["seed"]):
        names = ("file", "title", "whole", "rows", "overlap", "errors")
        found[tuple(cell[name] for name in names)].append(cell)
    return [
        same[0] | {"seeds": len(same), **{str(known): _outcome(same, known=known)
                                          for known in (False, True)}}
        for same in found.values()
    ]  # fmt: skip


def _outcome(same: Sequence[Row], *, known: bool) -> tuple[float, float]:
    """Rate and bound of the best attack with nothing known, or of the one with some known."""
    totals: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for cell in same:
        for one in cell["attacks"]:
            if ("known" in one["attack"]) == known:
                right, overlap = totals[one["attack"]]
                totals[one["attack"]] = right + one["right"], overlap + one["overlap"]
    right, overlap = max(totals.values(), key=lambda total: total[0] / total[1])
    return right / overlap, upper_bound(right, overlap)


def _shown(cell: Row, known: bool) -> str:
    rate, upper = cell[str(known)]
    return f"{100 * rate:.3g}% ({100 * upper:.3g}%)"


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---" if head in {"scheme", "encoded", "file"} else "--:" for head in heads]
    rows = [heads, rule, *lines]
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def draw_all(found: Found, directory: Path) -> None:
    """Write both drawings as SVG."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, chart in (("frontier", _frontier(found)), ("frontier-size", _sizes(found))):
        (directory / f"{name}.svg").write_text(_svg(chart), "utf-8")


def _points(found: Found) -> list[Row]:
    """What was attacked at full overlap and without errors, by setting and size."""
    return [
        {
            "scheme": cell["scheme"],
            "encoded": ENCODED[cell["whole"]],
            "setting": f"{cell['title']}, {ENCODED[cell['whole']]}",
            "label": cell["title"].partition(", ")[2] or "plain",
            "key": (cell["title"], cell["whole"]),
            "rows": cell["rows"],
            "known": KNOWN if known else UNKNOWN,
            "upper": cell[str(known)][1],
        }
        for cell in _made(found)
        if cell["overlap"] == 1 and not cell["errors"]
        for known in (False, True)
    ]


def _upper() -> alt.Y:
    return alt.Y(
        "upper:Q",
        title="re-identified, at most",
        scale=alt.Scale(type="log", domain=[0.0002, 1], clamp=True),
        axis=alt.Axis(format="~%", values=[0.0005, 0.001, 0.005, 0.01, 0.03, 0.1, 0.3, 1]),
    )


def _colour() -> alt.Color:
    scale = alt.Scale(domain=list(SCHEMES), range=colours(SCHEMES))
    return alt.Color("scheme:N", title=None, scale=scale, legend=alt.Legend(orient="top"))


def _frontier(found: Found) -> Any:
    """Candidate recall against the bound, in files of the size that most are attacked in."""
    means = _means(found)
    points = [
        p | {"recall": means[p["key"]][0]}
        for p in _points(found)
        if p["rows"] <= MOST_ROWS and p["key"] in means and means[p["key"]][0] >= LEAST_RECALL
    ]
    sizes = sorted({p["rows"] for p in points})
    points = [_plain(p) for p in points if sizes and p["rows"] == sizes[-1]]
    return _beside(
        points,
        x=alt.X("recall:Q", title="candidate recall, mean of the messy files",
                scale=alt.Scale(zero=False)),
        title=f"n = {sizes[-1]:,}" if sizes else "",
    )  # fmt: skip


def _sizes(found: Found) -> Any:
    """The bound against n, of settings attacked at several sizes."""
    points = _points(found)
    times: dict[Any, set[int]] = defaultdict(set)
    for p in points:
        times[p["key"]].add(p["rows"])
    several = [_plain(p) for p in points if len(times[p["key"]]) > 1]
    return _beside(
        several,
        x=alt.X("rows:Q", title="records on each side (n)", scale=alt.Scale(type="log"),
                axis=alt.Axis(values=[1_000, 5_000, 20_000, 50_000], format=",")),
        title="",
        lines=True,
    )  # fmt: skip


def _plain(point: Row) -> Row:
    return {name: value for name, value in point.items() if name != "key"}


def _beside(points: Sequence[Row], *, x: Any, title: str, lines: bool = False) -> Any:
    """One drawing for each of what the attacker knows."""
    shape = alt.Shape(
        "encoded:N", title=None, sort=list(ENCODED.values()), legend=alt.Legend(orient="top")
    )
    parts = []
    for known in (UNKNOWN, KNOWN):
        some = [p for p in points if p["known"] == known]
        base = alt.Chart(alt.Data(values=some)).encode(x=x, y=_upper(), color=_colour())
        drawn: Any = base.mark_point(filled=True, size=70, opacity=0.9).encode(shape=shape)
        words = base
        if lines:
            drawn = base.mark_line(strokeWidth=1.5).encode(detail="setting:N") + drawn
            last = {p["setting"]: max(q["rows"] for q in some if q["setting"] == p["setting"])
                    for p in some}  # fmt: skip
            ends = [p for p in some if p["rows"] == last[p["setting"]]]
            words = alt.Chart(alt.Data(values=ends)).encode(x=x, y=_upper(), color=_colour())
        text = words.mark_text(align="left", dx=7, fontSize=9).encode(text="label:N")
        named = f"{known}, {title}" if title else known
        parts.append((drawn + text).properties(width=SIDE, height=300, title=named))
    return alt.hconcat(*parts)


def _svg(chart: Any) -> str:
    """On white, for pages that cannot lend it their colours; nothing is fetched.

    Marks have no labels of their own: the pages' tables say the same.
    """
    font = "system-ui, DejaVu Sans, sans-serif"
    styled = chart.configure(background="white", font=font, aria=False).configure_view(stroke=None)
    spec = json.dumps(styled.to_dict(), sort_keys=True)
    return vl_convert.vegalite_to_svg(spec, allowed_base_urls=[]) + "\n"
