"""Ground: open data to mesh, mesh to times."""
