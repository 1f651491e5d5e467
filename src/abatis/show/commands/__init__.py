"""The commands by room; `show/cli.py` puts them together."""
