"""Families of interdiction problems and the solvers that abatis is compared with."""
