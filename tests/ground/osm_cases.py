"""A small piece of OpenStreetMap written by hand: places on a grid, drawn so that every number can be seen.

```
55.08        lake with an island   | river and bridge at 24.1
55.05  A5 ========================[ ]==============X border crossing at 24.2 ====== to 24.4
55.02     track, 24.05 E           |                       forest 24.30-24.34
```
"""

from __future__ import annotations

from pathlib import Path

import osmium
from osmium.osm.mutable import Node, Relation, Way

Places = list[tuple[float, float]]


class Scene:
    """Nodes, ways and relations gathered in any order; written in the order that files have."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[float, float], int] = {}
        self.tags: dict[int, dict[str, str]] = {}
        self.ways: list[tuple[int, list[int], dict[str, str]]] = []
        self.relations: list[tuple[int, list[tuple[str, int, str]], dict[str, str]]] = []

    def point(self, place: tuple[float, float], **tags: str) -> int:
        """Number of the node at a place."""
        number = self.numbers.setdefault(place, len(self.numbers) + 1)
        self.tags.setdefault(number, {}).update(tags)
        return number

    def way(self, number: int, places: Places, **tags: str) -> None:
        """Add a way through places."""
        self.ways.append((number, [self.point(place) for place in places], tags))

    def box(self, number: int, west: float, south: float, east: float, north: float, **tags: str) -> None:
        """Add a closed way."""
        self.way(number, [*corners(west, south, east, north), (west, south)], **tags)

    def relate(self, number: int, members: dict[int, str], **tags: str) -> None:
        """Add a multipolygon of ways."""
        parts = [("w", way, role) for way, role in members.items()]
        self.relations.append((number, parts, {"type": "multipolygon", **tags}))

    def write(self, path: Path) -> Path:
        """Write the scene in the format of the suffix."""
        with osmium.SimpleWriter(str(path), overwrite=True) as writer:
            for place, number in self.numbers.items():
                writer.add_node(Node(id=number, location=place, tags=self.tags[number], version=1))
            for number, nodes, tags in sorted(self.ways):
                writer.add_way(Way(id=number, nodes=nodes, tags=tags, version=1))
            for number, members, tags in sorted(self.relations):
                writer.add_relation(Relation(id=number, members=members, tags=tags, version=1))
        return path


def corners(west: float, south: float, east: float, north: float) -> Places:
    """Corners of a box, counter-clockwise."""
    return [(west, south), (east, south), (east, north), (west, north)]


def draw_scene() -> Scene:
    """Return the scene of this file's picture."""
    scene = Scene()
    main = {"highway": "primary", "ref": "A5"}
    scene.way(10, [(23.95, 55.05), (24.05, 55.05), (24.098, 55.05)], surface="asphalt", **main)
    scene.way(
        11, [(24.098, 55.05), (24.102, 55.05)], bridge="yes", maxweight="12 t", name="Old bridge", **main
    )
    scene.way(12, [(24.102, 55.05), (24.2, 55.05), (24.4, 55.05)], **main)
    scene.way(13, [(24.05, 55.02), (24.05, 55.05)], highway="track", tracktype="grade1")
    scene.way(14, [(24.06, 55.02), (24.06, 55.05)], highway="track", maxweight="heavy")
    scene.way(15, [(24.07, 55.02), (24.07, 55.05)], highway="road")
    scene.way(16, [(24.08, 55.02), (24.08, 55.05)], highway="footway")
    scene.way(17, [(24.15, 55.02), (24.152, 55.02)], highway="secondary", bridge="yes", name="Over rails")
    scene.way(18, [(24.15, 55.09), (24.16, 55.09)], highway="unclassified", surface="mud", width="3.5 m")
    scene.way(20, [(24.1, 54.95), (24.1, 55.04), (24.1, 55.15)], waterway="river", name="Grand")
    scene.way(21, [(24.15, 55.0), (24.15, 55.01)], waterway="ditch")
    scene.way(22, [(24.16, 55.0), (24.16, 55.01)], waterway="stream", width="7")
    scene.way(23, [(24.17, 55.0), (24.17, 55.01)], waterway="stream", tunnel="yes")
    scene.box(30, 24.0995, 54.951, 24.1005, 55.149, natural="water", water="river")
    west, south, east, north = 24.02, 55.06, 24.04, 55.08
    scene.way(31, [(east, south), (east, north), (west, north)])
    scene.way(32, [(west, north), (west, south), (east, south)])
    scene.box(33, 24.028, 55.068, 24.032, 55.072)
    scene.relate(1, {31: "outer", 32: "outer", 33: "inner"}, natural="water", name="Ring Lake")
    scene.box(34, 24.30, 55.01, 24.34, 55.03, landuse="forest")
    scene.box(35, 24.25, 55.07, 24.27, 55.09, natural="wetland")
    scene.box(36, 24.09, 55.04, 24.095, 55.045, landuse="residential")
    scene.way(40, [(24.0995, 55.02), (24.1005, 55.02)], waterway="dam", name="Mill dam")
    scene.box(41, 24.11, 55.02, 24.112, 55.021, power="plant")
    scene.box(42, 24.12, 55.02, 24.122, 55.022, amenity="school", name="School")
    scene.point((24.121, 55.021), amenity="school", name="School")
    scene.point((24.13, 55.03), amenity="hospital", name="Hospital")
    scene.point((24.2, 55.05), barrier="border_control")
    scene.point((30.0, 50.0), amenity="hospital", name="Far away")
    scene.box(50, 24.0, 55.0, 24.001, 55.001, building="yes")
    return scene
