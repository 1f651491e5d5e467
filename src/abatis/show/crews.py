"""Who counts the tiles of a build, from the options of the command line."""

from __future__ import annotations

from contextlib import AbstractContextManager

from abatis.ground.tiling.cluster import Cluster
from abatis.ground.tiling.crew import Crew, Processes
from abatis.model.errors import Fault, InputError


def choose_crew(workers: int, cluster: bool, scheduler: str) -> AbstractContextManager[Crew] | None:
    """Return the crew asked for, None for this process alone.

    Parameters
    ----------
    workers : processes of this machine, or workers of the local cluster.
    cluster : true for Dask.
    scheduler : address of a running scheduler, empty for a local cluster.

    Raises
    ------
    InputError : a scheduler without a cluster.
    """
    if scheduler and not cluster:
        raise InputError([Fault("needs --cluster", column="--scheduler", remedy="add --cluster")])
    if cluster:
        return Cluster(scheduler, workers)
    return Processes(workers) if workers > 1 else None
