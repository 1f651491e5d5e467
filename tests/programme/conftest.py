"""A small invented study whose plan closes sites by a reserve measure, with places for depots."""

import csv
from pathlib import Path

import numpy as np
import pytest

from abatis.barrier.planning import make_plan
from abatis.barrier.proof import make_certificate
from abatis.barrier.sites import site_study
from abatis.barrier.solve import solve_problem
from abatis.model.plan import write_plan
from abatis.show.cli import main
from abatis.show.workflow import load_study

RESERVE = {
    "measure": "reserve",
    "name": "Reserve belt",
    "unit": "km",
    "unit_cost_low_eur": 50e3,
    "unit_cost_eur": 100e3,
    "unit_cost_high_eur": 200e3,
    "delay_low_h": 1,
    "delay_h": 2,
    "delay_high_h": 4,
    "lead_months": 12,
    "life_years": 5,
    "land_take_m2": 0,
    "removal_cost_eur": 1000,
    "reversibility": "low",
    "law_kind": "mine_reserve",
    "source": "test",
    "tag": "G",
}


def write_rows(path: Path, rows: list[dict], keep: bool = False) -> None:
    """Write a table, or add rows to it."""
    old = list(csv.DictReader(path.read_text("utf-8").splitlines())) if keep else []
    columns = list(dict.fromkeys(key for row in [*old, *rows] for key in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows([*old, *rows])


@pytest.fixture(scope="session")
def stock_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Study folder with a mesh and the plan `base`; not to be changed."""
    folder = tmp_path_factory.mktemp("stock") / "study"
    assert main(["new", str(folder)]) == 0
    assert main(["build", str(folder)]) == 0
    tables = folder / "tables"
    trust = {"source": "test", "tag": "G"}
    write_rows(tables / "measures.csv", [RESERVE], keep=True)
    options = (tables / "options.csv").read_text(encoding="utf-8")
    (tables / "options.csv").write_text(
        options.replace("blocks,ditch,block", "blocks,reserve,block"), "utf-8"
    )
    mines = {"line": "mines", "name": "Locked line", "amount_eur": 5_000_000, "planned": "false", **trust}
    write_rows(tables / "budget.csv", [mines], keep=True)
    write_rows(tables / "stocks.csv", [{"measure": "reserve", "line": "mines", **trust}])
    _, mesh = load_study(folder)
    road = np.unique(np.r_[mesh.edge_a[mesh.road_class >= 0], mesh.edge_b[mesh.road_class >= 0]])
    home = road[mesh.mask_countries(("HOME",))[road]]
    places = home[np.linspace(0, len(home) - 1, 4).astype(int)]
    write_rows(
        tables / "depots.csv",
        [
            {
                "depot": f"d{number}",
                "name": f"Depot {number}",
                "lon": mesh.lon[cell],
                "lat": mesh.lat[cell],
                "existing": "true" if number == 0 else "false",
                "cost_eur": 1000,
                "capacity_km": 6,
                **trust,
            }
            for number, cell in enumerate(places)
        ],
    )
    settings = (folder / "study.toml").read_text(encoding="utf-8")
    for key, value in (("haul_vehicle", '"tracked"'), ("notice_h", "0.3"), ("depots", "2")):
        old = next(line for line in settings.splitlines() if line.startswith(f"{key} = "))
        settings = settings.replace(old, f"{key} = {value}")
    (folder / "study.toml").write_text(settings, encoding="utf-8")
    study, mesh = load_study(folder)
    siting = site_study(study, mesh)
    solution = solve_problem(siting.problem, 3e6, 0.01, 20.0, 1)
    (folder / "plans" / "base").mkdir(parents=True)
    write_plan(
        make_plan(study, siting, solution, "base", 1), folder / "plans" / "base", make_certificate(solution)
    )
    return folder


@pytest.fixture(scope="session")
def stock_study(stock_folder: Path):
    """The study and its mesh."""
    return load_study(stock_folder)
