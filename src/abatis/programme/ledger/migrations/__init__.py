"""Migrations of the ledger's database; they travel with the package and run when a ledger is opened."""
