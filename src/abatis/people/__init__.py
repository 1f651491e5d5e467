"""Civilians, land and nature: who is cut off and what is taken."""
