"""Sources looked at without building: what a build could not read, all of it at once."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from abatis.ground.layers import read_layers
from abatis.ground.outline import Ground, read_ground
from abatis.ground.sources import Area, Findings, bound_places
from abatis.ground.sources.rasters import list_rasters
from abatis.ground.sources.vectors import glance_at_vectors
from abatis.model.study import Study

WHOLE_BYTES = 16 * 2**20
RASTER_LAYERS = ("elevation", "landcover", "soil", "population", "clay")


def check_sources(study: Study) -> Ground:
    """Look at every source of a study; returns its ground.

    Parameters
    ----------
    study : the study; that its files are there, with the checksums given, was checked when it was read.

    Raises
    ------
    InputError : all faults of all sources at once, in the words of a build.

    In words: the borders are read whole, and so are the smallest other files, up to 16 MiB together: exactly
    as a build reads them. Every larger file is opened, its layer, attributes, CRS and place are checked, and
    some features, the first OpenStreetMap element, or one window of its pixels are read. Damage deep inside
    a large file is found by its checksum, where sources.csv gives one, and otherwise only by a build.
    """
    findings = Findings()
    ground = read_ground(study, findings)
    area = ground.area if ground else bound_places(study)
    others = study.sources[study.sources["layer"] != "borders"]
    whole = mark_small(study, others)
    read_layers(replace(study, sources=others[whole]), area, findings, lambda stage, share: None)
    _glance(replace(study, sources=others[~whole]), area, findings)
    # One file may stand in several rows and be read for the facilities too: the same fault is told once.
    findings.faults = list(dict.fromkeys(findings.faults))
    findings.raise_faults()
    assert ground is not None
    return ground


def mark_small(study: Study, sources: pd.DataFrame) -> pd.Series:
    """Say which sources are read whole: the smallest files, as many as `WHOLE_BYTES` hold.

    Parameters
    ----------
    study : the study.
    sources : rows of its sources.csv.

    Returns
    -------
    bool per row; all rows of one file alike. A .vrt is never small: it names other files.
    """
    small: set[str] = set()
    left = WHOLE_BYTES
    sizes = {file: (study.folder / "sources" / file).stat().st_size for file in set(sources["file"])}
    for file, size in sorted(sizes.items(), key=lambda one: (one[1], one[0])):
        if not file.lower().endswith(".vrt") and size <= left:
            small.add(file)
            left -= size
    return sources["file"].isin(small)


def _glance(study: Study, area: Area, findings: Findings) -> None:
    glance_at_vectors(study, area, findings)
    for layer in RASTER_LAYERS:
        list_rasters(study, layer, area, findings, glance=True)
