"""Reading of OpenStreetMap data beside bare passes of osmium over the same file."""

from __future__ import annotations

import datetime
import math
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import osmium
from osmium.osm.mutable import Node, Relation, Way

from abatis.ground.sources import Area
from abatis.ground.sources.osm import Want, read_osm_file

WAYS = 60_000
REPEATS = 3
LAYERS = ("roads", "rivers", "bridges", "water", "forest", "wetland", "built_up")
# Share of ways, fewest and most nodes, closed, tags to choose from: roughly the mix of a country's file.
KINDS: tuple[tuple[float, int, int, bool, tuple[dict[str, str], ...]], ...] = (
    (0.42, 4, 6, True, ({"building": "yes"},)),
    (0.23, 3, 16, False, tuple({"highway": one} for one in ["residential", "track", "footway", "primary"])),
    (0.07, 5, 30, False, tuple({"waterway": one} for one in ["ditch", "stream", "river"])),
    (0.20, 5, 40, True, ({"landuse": "farmland"}, {"landuse": "forest"}, {"natural": "water"})),
    (0.04, 5, 40, True, ({},)),
    (0.04, 3, 10, False, ({"barrier": "fence"},)),
)


def write_country(path: Path) -> int:
    """Write a file with the mix of a country's, nodes with their history; return the number of nodes."""
    chance = random.Random(1)
    start = datetime.datetime(2015, 1, 1, tzinfo=datetime.UTC)

    def made() -> dict[str, Any]:
        when = start + datetime.timedelta(seconds=chance.randint(0, 3 * 10**8))
        user = chance.randint(1, 3000)
        return {"version": 1, "changeset": chance.randint(10**7, 10**8), "uid": user, "timestamp": when}

    ways, nodes, loose = [], 0, []
    with osmium.SimpleWriter(str(path), overwrite=True) as writer:
        for way in range(1, WAYS + 1):
            share, least, most, closed, tags = chance.choices(KINDS, [kind[0] for kind in KINDS])[0]
            west, south = 24 + 2 * chance.random(), 55 + chance.random()
            count = chance.randint(least, most)
            first = nodes + 1
            for step in range(count):
                turn = 2 * math.pi * step / count
                place = (west + 0.001 * step, south + 0.0003 * math.sin(step))
                if closed:
                    place = (west + 0.002 * math.cos(turn), south + 0.001 * math.sin(turn))
                nodes += 1
                point = {"natural": "tree"} if chance.random() < 0.01 else {}
                writer.add_node(Node(id=nodes, location=place, tags=point, **made()))
            own = {**chance.choice(tags), **({"name": f"N{way}"} if chance.random() < 0.2 else {})}
            ways.append((way, [*range(first, nodes + 1), *([first] if closed else [])], own))
            if share == 0.04 and closed:
                loose.append(way)
        for way, refs, own in ways:
            writer.add_way(Way(id=way, nodes=refs, tags=own, **made()))
        for number, pair in enumerate(zip(loose[::2], loose[1::2], strict=False), 1):
            members = [("w", way, "outer") for way in pair]
            water = {"type": "multipolygon", "natural": "water"}
            writer.add_relation(Relation(id=number, members=members, tags=water, **made()))
    return nodes


def _measure(work: Callable[[], object]) -> float:
    best = math.inf
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def run() -> list[dict[str, Any]]:
    """Time the reader against a loop over all elements and against a pass in which nothing leaves C++."""
    wants = tuple(Want(layer) for layer in LAYERS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "country.osm.pbf"
        nodes = write_country(path)
        size = path.stat().st_size / 2**20

        def read() -> int:
            found = read_osm_file(path, wants, Area(23.0, 54.0, 27.0, 57.0))
            return sum(features.count for features in found.values())

        def loop() -> None:
            for _ in osmium.FileProcessor(str(path)).with_areas():
                pass

        def stay() -> None:
            nothing = osmium.filter.KeyFilter("abatis:nothing")
            for _ in osmium.FileProcessor(str(path)).with_areas().with_filter(nothing):
                pass

        kept = read()
        ours, looped, stayed = _measure(read), _measure(loop), _measure(stay)
    note = f"{size:.0f} MiB PBF, {nodes:,} nodes, {WAYS:,} ways; {kept:,} features of 7 layers with geometry"
    rows = (("a loop over all elements, areas assembled", looped), ("the same, nothing leaves C++", stayed))
    return [
        {
            "name": f"OpenStreetMap reading against {what}",
            "ours": ours,
            "peer": peer,
            "ratio": ours / peer,
            "goal": "ratio <= 1.5",
            "unit": "s",
            "note": note,
        }
        for what, peer in rows
    ]
