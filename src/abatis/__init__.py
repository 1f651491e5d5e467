"""Plan, check and monitor a national counter-mobility programme on open data."""

__version__ = "0.1.0"
