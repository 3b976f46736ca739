"""Aliases, groups and strata, from two files to one extract."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from tests.e2e.house import House, manifest_of, records

PROJECT = "aliases"
PEOPLE = 400
MARRIED = range(40)
BOOKED_AS = range(40, 60)
TWICE = range(60, 90)


def north(path: Path) -> tuple[Path, Path]:
    """Bookings: some under a married name with the maiden name beside it, some under a false name
    with the true one in an alias table, some twice under two spellings in one group.
    """
    records(path, 0, PEOPLE)
    with path.open() as file:
        people = list(csv.DictReader(file))
    aliases = []
    for number, person in enumerate(people):
        person |= {"maiden": "", "person": "", "sex": "FM"[number % 2]}
        if number in MARRIED:
            person["maiden"] = person["surname"]
            person["surname"] = f"Hyphen{number}son"
        elif number in BOOKED_AS:
            aliases.append({"id": person["id"], **{n: person[n] for n in ("given", "surname")}})
            person["given"], person["surname"] = f"John{number}", "Doe"
        elif number in TWICE:
            person["person"] = f"P{number}"
    again = [
        person | {"id": f"{person['id']}b", "surname": person["surname"][:-1] + "x"}
        for person in people
        if person["person"]
    ]
    table = path.with_name("north-aliases.csv")
    for out, rows in ((path, people + again), (table, aliases)):
        with out.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return path, table


def manifest() -> dict[str, Any]:
    document = manifest_of(PROJECT, matching={"pair_keyed": True})
    document["partners"][0] |= {
        "aliases": {"surname": ["maiden"]},
        "group": "person",
        "strata": {"sex": "sex"},
    }
    document["strata"] = [{"name": "sex", "values": ["F", "M"]}]
    return document


def test_aliases_and_groups_find_each_person_once(house: House) -> None:
    path = house.agree(manifest())
    bookings, table = north(house.path / "aliases-north.csv")
    clients = records(house.path / "aliases-south.csv", 0, PEOPLE)
    project = ("--project", PROJECT)
    homes = {name: house.home(name) for name in ("north", "south")}
    aliases = ("--aliases", str(table))
    words = ("agent", "check", str(bookings), "--manifest", str(path), "--partner", "north")
    checked = house.good(*words, *aliases)
    assert checked["unlisted"] == {"sex": 0}
    assert checked["aliases"] == len(MARRIED) + len(BOOKED_AS)
    words = ("agent", "submit", str(bookings), *project, *aliases)
    sent = house.good(*words, home=homes["north"])
    assert sent["rows"] == PEOPLE + len(TWICE)
    assert sent["aliases"] == len(MARRIED) + len(BOOKED_AS)
    assert sent["grouped"] == len(TWICE)
    house.good("agent", "submit", str(clients), *project, home=homes["south"])
    run = house.good("hub", "run", PROJECT, "--detach", home=house.home("hub"))
    for name, words in (("north", (str(bookings), *aliases)), ("south", (str(clients),))):
        house.good("agent", "answer", *words, *project, "--wait", "60", home=homes[name])
    house.good("hub", "watch", run["run"], home=house.home("hub"))
    release = house.good("hub", "release", run["run"], home=house.home("hub"))["release"]
    for home in homes.values():
        house.good("agent", "approve", *project, home=home)
    visits = house.path / "aliases-visits.csv"
    with bookings.open() as file:
        ids = [row["id"] for row in csv.DictReader(file)]
    visits.write_text("id,program\n" + "".join(f"{name},A\n" for name in ids))
    contribute = ("agent", "contribute", str(bookings), *project)
    house.good(*contribute, "--content", f"visits={visits}", home=homes["north"])
    house.good("agent", "contribute", str(clients), *project, home=homes["south"])
    out = house.path / "aliases-extract"
    words = ("evaluator", "assemble", *project, "--out", str(out))
    house.good(*words, home=house.home("bureau"))
    with (out / "tables" / "people.csv").open() as file:
        people = {row["study_id"]: row for row in csv.DictReader(file)}
    with (out / "tables" / "north_visits.csv").open() as file:
        visitors = [row["study_id"] for row in csv.DictReader(file)]
    # Both bookings of a person stand under one study id; nobody else's do.
    assert len(visitors) == PEOPLE + len(TWICE)
    assert len(set(visitors)) == PEOPLE
    linked = sum(row["n_partners"] == "2" for row in people.values())
    assert linked >= PEOPLE - 4, "those known to south by another name only were lost"
    assert release
