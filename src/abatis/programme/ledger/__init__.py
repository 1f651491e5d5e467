"""The ledger: what really happened, in records that can only be added."""
