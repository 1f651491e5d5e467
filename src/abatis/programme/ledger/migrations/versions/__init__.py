"""Revisions of the tables of the ledger, in order."""
