from linkage.reports.since import compared_with


def report(rows: int, links: int) -> dict:
    return {
        "partners": {"a": {"rows": rows}, "b": {"rows": 10}},
        "overall": {"estimated_matches": links + 0.5},
        "recommended": {"threshold": 0.5, "links": links, "precision": 0.9, "recall": 0.8, "f1": 1},
    }


def test_two_runs_side_by_side() -> None:
    found = compared_with(report(100, 40), report(120, 50))
    assert found["before"]["rows"] == 110
    assert found["now"] == {
        "rows": 130,
        "estimated_matches": 50.5,
        "threshold": 0.5,
        "links": 50,
        "precision": 0.9,
        "recall": 0.8,
    }
