"""Is a mesh true to its sources? All comparisons of `abatis validate` in one go."""

from __future__ import annotations

from abatis.ground.comparison import Comparison
from abatis.ground.inventory import compare_areas, compare_cover, compare_people
from abatis.ground.layers import Progress
from abatis.ground.lengths import compare_borders, compare_rivers, compare_roads
from abatis.ground.raster_times import compare_times
from abatis.ground.truth import read_truth
from abatis.model.mesh import Mesh
from abatis.model.study import Study

USUAL_WINDOWS = 8


def validate_mesh(
    study: Study, mesh: Mesh, progress: Progress, windows: int = USUAL_WINDOWS
) -> list[Comparison]:
    """Compare a mesh with the sources of its study: areas, cover, people, roads, rivers, borders, times.

    Parameters
    ----------
    study, mesh : the study and its mesh.
    progress : callback (stage, share done).
    windows : how many pieces of ground times are compared on; 0 leaves times out.

    In words: the sources are read as the mesh's builder reads them and counted again in another way, so that
    a fault of the counting shows: geodesic polygons, another burning on another grid of pixels, lines cut
    into short pieces, a raster search.

    Raises
    ------
    InputError : faults of the sources.
    """
    truth = read_truth(study, mesh, progress)
    rows: list[Comparison] = []
    progress("areas and cover", 0.3)
    rows += compare_areas(truth, mesh) + compare_borders(truth, mesh)
    rows += compare_cover(study, truth, mesh)
    progress("people, roads and rivers", 0.4)
    rows += compare_people(study, truth, mesh)
    rows += compare_roads(study, truth, mesh) + compare_rivers(truth, mesh)
    stage = "times against a raster"
    progress(stage, 0.5)
    if windows:
        rows += compare_times(study, truth, mesh, windows, lambda share: progress(stage, 0.5 + 0.5 * share))
    progress(stage, 1.0)
    return rows
