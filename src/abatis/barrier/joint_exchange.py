"""Exchange: what neighbours need of a country for the joint line, without its inner ground or measures."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from abatis.barrier import _joint
from abatis.barrier.joint_ground import Arcs, Rim, Sides, Territory
from abatis.model.errors import Fault, InputError
from abatis.model.storage import write_text_whole

FORMAT = "abatis joint export"
VERSION = 1
WHOLE = ("main", "tie", "tail", "head", "mend_main", "mend_tie")
_SIDE_TYPES = {
    "cell": np.uint64,
    "other": np.uint64,
    "code": np.int16,
    "tail": np.int32,
    "head": np.int32,
    "far": bool,
    "main": np.int64,
    "tie": np.int64,
    "length_m": np.float32,
    "open": bool,
    "outer": bool,
    "region": np.int32,
    "piece": np.int32,
}


def condense_territory(territory: Territory) -> Territory:
    """Reduce a country to its ports and the cheapest chains between all pairs of them.

    Parameters
    ----------
    territory : with its own line found (`close_alone`).

    Returns
    -------
    The same country for `join_countries`: nodes are its ports (corners on its borders) and one node for each
    stretch of its rim where a line may end for good; arcs are the least chains between every two of them,
    once as things are and once with the country's own line already built.

    Formula: d(p, q) = least weight of a walk from p to q along sides between cells of the country; all pairs.
    In words: any chain through the country from p to q may be exchanged for the least one. A chain that
    leaves the country and comes back is cut at every visit to a port, so every pair of ports may be needed,
    also two on the same border. Weights and tie breakers are sums of whole numbers, so the joint line found
    from exports costs the same to the cent and crosses at the same corners; see `close_countries`.
    """
    arcs = territory.arcs
    ports = len(territory.vertex)
    node, odd = _choose_nodes(territory)
    first, end, arc = _joint.link_nodes(territory.node_count, arcs.tail, arcs.head)
    linked = np.zeros(territory.node_count, bool)
    linked[arcs.tail], linked[arcs.head] = True, True
    active = np.flatnonzero(linked[node])
    goal = np.zeros(territory.node_count, bool)
    goal[node[active]] = True
    columns: list[np.ndarray] = []
    for place, one in enumerate(active[:-1].tolist()):
        goal[node[one]] = False
        others = active[place + 1 :]
        row = [np.full(len(others), one), others]
        for main, tie in ((arcs.main, arcs.tie), (arcs.mend_main, arcs.mend_tie)):
            best, best_tie, _, _ = _joint.search_chains(first, end, arc, main, tie, node[one], goal)
            row += [best[node[others]], best_tie[node[others]]]
        columns.append(np.array(row)[:, row[2] < _joint.FAR])
    table = np.concatenate(columns, axis=1) if columns else np.zeros((6, 0), np.int64)
    tail, head, main, tie, mend_main, mend_tie = table.astype(np.int64)
    chains = Arcs(
        tail.astype(np.int32), head.astype(np.int32), main, tie, mend_main, mend_tie,
        np.full(len(tail), -1, np.int32),
    )  # fmt: skip
    assert np.array_equal(node[:ports], np.arange(ports))
    return dataclasses.replace(territory, node_count=len(node), odd=odd, arcs=chains, exported=True)


def _choose_nodes(territory: Territory) -> tuple[np.ndarray, np.ndarray]:
    """Return the nodes kept, ports first, and which of them are odd; a free stretch of rim is one node."""
    arcs, ports = territory.arcs, len(territory.vertex)
    free = arcs.main == 0
    size = territory.node_count
    links = csr_matrix(
        (np.ones(int(free.sum()), np.int8), (arcs.tail[free], arcs.head[free])), shape=(size, size)
    )
    _, label = connected_components(links, directed=False)
    marked = np.flatnonzero(territory.odd)
    stretch, count = np.unique(label[marked], return_counts=True)
    least = np.full(size, size, np.int64)
    np.minimum.at(least, label, np.arange(size))
    ends = least[stretch[count % 2 == 1]]
    node = np.concatenate([np.arange(ports), ends[ends >= ports]])
    return node, np.isin(node, ends)


def write_export(territory: Territory, path: Path) -> None:
    """Write a country's export as JSON, whole or not at all.

    Parameters
    ----------
    territory : the country, condensed here if it is not yet.
    path : file to write.

    In words: what stands in the file is listed in `docs/joint_line.md`: border cells, ports and their costs.
    """
    whole = territory if territory.exported else condense_territory(territory)
    sides = {name: getattr(whole.sides, name).tolist() for name in _SIDE_TYPES}
    for name in ("cell", "other"):
        sides[name] = [f"{one:x}" for one in sides[name]]
    content: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "key": whole.key,
        "codes": list(whole.codes),
        "allies": list(whole.allies),
        "resolution": whole.resolution,
        "depth_km": whole.depth_km,
        "alone_cents": whole.alone_cents,
        "nodes": whole.node_count,
        "ports": {
            "vertex": [f"{one:x}" for one in whole.vertex.tolist()],
            "place": list(whole.place),
            "place_km": [one if np.isfinite(one) else None for one in whole.place_km.tolist()],
        },
        "odd": np.flatnonzero(whole.odd).tolist(),
        "chains": {name: getattr(whole.arcs, name).tolist() for name in WHOLE},
        "border": sides,
        "rims": [dataclasses.asdict(one) for one in whole.rims],
    }
    write_text_whole(path, json.dumps(content, separators=(",", ":")) + "\n")


def read_export(path: Path) -> Territory:
    """Read a country's export.

    Raises
    ------
    InputError : the file is missing, no export, of another version, or damaged.
    """
    remedy = "write it anew with: abatis joint STUDY --export FILE"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError([Fault(f"cannot be read: {error}", str(path), remedy=remedy)]) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError([Fault("is no export of abatis joint", str(path), remedy=remedy)])
    if content.get("version") != VERSION:
        problem = f"is an export of version {content.get('version')}, not {VERSION}"
        raise InputError([Fault(problem, str(path), remedy=remedy)])
    try:
        territory = _parse_export(content)
        _check_export(territory)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise InputError([Fault(f"is damaged: {error}", str(path), remedy=remedy)]) from error
    return territory


def _parse_export(content: dict[str, Any]) -> Territory:
    ports, chains, border = content["ports"], content["chains"], dict(content["border"])
    for name in ("cell", "other"):
        border[name] = [int(one, 16) for one in border[name]]
    odd = np.zeros(int(content["nodes"]), bool)
    odd[np.array(content["odd"], np.int64)] = True
    whole = {
        name: np.array(chains[name], np.int32 if name in ("tail", "head") else np.int64) for name in WHOLE
    }
    return Territory(
        key=str(content["key"]),
        codes=tuple(content["codes"]),
        allies=tuple(content["allies"]),
        resolution=int(content["resolution"]),
        depth_km=float(content["depth_km"]),
        node_count=int(content["nodes"]),
        vertex=np.array([int(one, 16) for one in ports["vertex"]], np.uint64),
        place=tuple(ports["place"]),
        place_km=np.array([np.inf if one is None else one for one in ports["place_km"]], np.float64),
        odd=odd,
        arcs=Arcs(**whole, edge=np.full(len(whole["tail"]), -1, np.int32)),
        sides=Sides(**{name: np.array(border[name], kind) for name, kind in _SIDE_TYPES.items()}),
        rims=tuple(
            Rim(int(one["region"]), bool(one["hostile"]), tuple(one["pieces"]), tuple(one["ports"]))
            for one in content["rims"]
        ),
        alone_cents=int(content["alone_cents"]),
        exported=True,
    )


def _check_export(territory: Territory) -> None:
    """Raise ValueError when parts of an export do not fit together."""
    ports, count = len(territory.vertex), territory.node_count
    if len({len(getattr(territory.sides, name)) for name in _SIDE_TYPES}) > 1:
        raise ValueError("columns of the border differ in length")
    if len({len(getattr(territory.arcs, name)) for name in WHOLE}) > 1:
        raise ValueError("columns of the chains differ in length")
    if len(territory.place) != ports or len(territory.place_km) != ports or ports > count:
        raise ValueError("ports differ in length")
    for ends, most in (
        (territory.arcs.tail, count),
        (territory.arcs.head, count),
        (territory.sides.tail, ports),
        (territory.sides.head, ports),
        (territory.sides.code, len(territory.allies)),
        (np.array([port for rim in territory.rims for port in rim.ports], np.int64), ports),
    ):
        if len(ends) and not 0 <= ends.min() <= ends.max() < most:
            raise ValueError("a number points outside its table")
    if (territory.arcs.main < 0).any() or (territory.arcs.mend_main < 0).any():
        raise ValueError("a cost is below 0")
