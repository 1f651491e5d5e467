"""A new study folder: a small runnable template, a copy of an example, or a country without its data."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path

from abatis.ground.fetching.layers import (
    Region,
    Town,
    find_hostile,
    find_regions,
    list_town_countries,
    read_regions,
    read_towns,
)
from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.fields import fields_of
from abatis.model.storage import write_text_whole
from abatis.model.study import OPTIONAL_TABLES
from abatis.show.example_ledger import import_example_ledger

EXAMPLES = ("lithuania",)
KEPT_TABLES = ("vehicles", "speeds", "soils", "crossings", "measures", "options")
PLACEHOLDER = "starting value of a new study, to be replaced"
STARTING_BUDGET_EUR = 100_000_000


def write_new_study(folder: Path, example: str = "") -> Path:
    """Write a new study folder.

    Parameters
    ----------
    folder : a folder that does not exist yet or is empty.
    example : name of a packaged example to copy; empty for the template.

    Returns
    -------
    The folder.

    Raises
    ------
    InputError : when the folder holds files already, cannot be written, or the example is unknown.
    """
    if example and example not in EXAMPLES:
        raise InputError(
            [
                Fault(
                    f"there is no example '{example}'",
                    column="--example",
                    remedy=nearest_word(example, EXAMPLES),
                )
            ]
        )
    _check_empty(folder)
    if example:
        from abatis.examples.lithuania import write_example

        write_example(folder)
        import_example_ledger(folder)
        return folder
    template = resources.files("abatis.examples.template")
    for part in ("", "tables", "sources"):
        for file in sorted(template.joinpath(part).iterdir(), key=lambda one: one.name):
            if file.is_file() and not file.name.endswith(".py"):
                write_text_whole(folder / part / file.name, file.read_text(encoding="utf-8"))
    return folder


def write_study(folder: Path, example: str, country: str, hostile: Sequence[str]) -> Path:
    """Write a new study folder as the command line asks for it.

    Raises
    ------
    InputError : as `write_new_study` and `write_country_study`; options that do not go together.
    """
    if example and country:
        raise InputError(
            [Fault("--example and --country do not go together", column="--country", remedy="give one")]
        )
    if hostile and not country:
        raise InputError([Fault("--hostile needs --country", column="--hostile", remedy="name the country")])
    return write_country_study(folder, country, hostile) if country else write_new_study(folder, example)


def write_country_study(folder: Path, country: str, hostile: Sequence[str] = ()) -> Path:
    """Write a study of a country whose data `abatis fetch` will get.

    Parameters
    ----------
    folder : a folder that does not exist yet or is empty.
    country : code of two or three letters, or name.
    hostile : countries from which movement starts; the packaged starting choice when empty.

    Returns
    -------
    The folder.

    Raises
    ------
    InputError : the folder holds files, a country is not known, or no hostile country is named for it.

    In words: some towns of the country, one front for each hostile country, one approach from each front to
    the capital; vehicles, speeds, crossings, measures and options of the packaged example; a budget to be
    replaced. There is no data yet.
    """
    _check_empty(folder)
    home = _know_country(country, "--country", list_town_countries())
    chosen = [_know_country(code, "--hostile", ()).country for code in hostile or find_hostile(home.country)]
    if not chosen or home.country in chosen:
        told = "needs other countries" if chosen else "has no packaged hostile neighbour"
        remedy = "name from where movement starts with --hostile CODE, once for each"
        raise InputError([Fault(f"a study of {home.name} {told}", column="--hostile", remedy=remedy)])
    template = resources.files("abatis.examples.template")
    example = resources.files("abatis.examples.lithuania").joinpath("tables")
    settings = template.joinpath("study.toml").read_text(encoding="utf-8")
    write_text_whole(folder / "study.toml", _fill_settings(settings, home, chosen))
    for table in KEPT_TABLES:
        if table not in OPTIONAL_TABLES or example.joinpath(f"{table}.csv").is_file():
            text = example.joinpath(f"{table}.csv").read_text(encoding="utf-8")
            write_text_whole(folder / "tables" / f"{table}.csv", text)
    towns = read_towns(home.country)
    for table, rows in _list_tables(home, chosen, towns).items():
        write_text_whole(folder / "tables" / f"{table}.csv", _format_table(table, rows))
    return folder


def _check_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            [
                Fault(
                    "is there already and not empty",
                    str(folder),
                    remedy="name a new folder; nothing was written",
                )
            ]
        )


def _know_country(code: str, option: str, only: Iterable[str]) -> Region:
    """Return the first extract of a country; `only` names the countries that will do, all when empty."""
    found = find_regions(code)
    known = tuple(only)
    if not found or (known and found[0].country not in known):
        names = [one.name for one in read_regions() if not known or one.country in known]
        words = [*known, *dict.fromkeys(names)]
        remedy = f"{nearest_word(code, words)}; or start with the template: abatis new FOLDER"
        raise InputError([Fault(f"'{code}' is not in the packaged countries", column=option, remedy=remedy)])
    return found[0]


def _fill_settings(text: str, home: Region, hostile: Sequence[str]) -> str:
    """Put the country's values into the template's settings; its notes stay."""
    defaults = {
        field.column: field.default
        for field in fields_of("study.toml")
        if field.default not in ("required", "-")
    }
    values = {
        "name": json.dumps(home.country.lower()),
        "title": json.dumps(home.name, ensure_ascii=False),
        "schematic": "false",
        "home": json.dumps([home.country]),
        "hostile": json.dumps(list(hostile)),
        "resolution": defaults["resolution"],
        "strip_km": defaults["strip_km"],
        "pixel_m": defaults["pixel_m"],
        "outer_km": f"[{', '.join(defaults['echelons.outer_km'].split())}]",
        "longest_km": defaults["sites.longest_km"],
        "crossings": defaults["sites.crossings"],
        "time_limit_s": defaults["solve.time_limit_s"],
    }
    for key, value in values.items():
        found = re.search(rf"^{key} = .*$", text, flags=re.M)
        assert found is not None, key
        text = f"{text[: found.start()]}{key} = {value}{text[found.end() :]}"
    return text


def _list_tables(
    home: Region, hostile: Sequence[str], towns: Sequence[Town]
) -> dict[str, list[dict[str, object]]]:
    placeholder = {"source": PLACEHOLDER, "tag": "G"}
    fronts = [
        {
            "front": code.lower(),
            "name": f"Border with {find_regions(code)[0].name}",
            "countries": code,
            **placeholder,
        }
        for code in hostile
    ]
    approaches = [
        {
            "approach": f"{front['front']}_{towns[0].place}",
            "name": f"{front['name']} to {towns[0].name}",
            "front": front["front"],
            "objective": towns[0].place,
            "vehicle": "tracked",
            "season": "dry",
            "weight": 1,
            **placeholder,
        }
        for front in fronts
    ]
    works = {"line": "works", "name": "Works at sites", "amount_eur": STARTING_BUDGET_EUR, "planned": "true"}
    return {
        "places": [{**vars(town), "country": home.country} for town in towns],
        "fronts": fronts,
        "approaches": approaches,
        "budget": [{**works, **placeholder}],
        "classes": [],
        "rules": [],
        "facts": [],
    }


def _format_table(table: str, rows: Iterable[dict[str, object]]) -> str:
    text = io.StringIO()
    columns = [field.column for field in fields_of(table)]
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
