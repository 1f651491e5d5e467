"""From a number on the page to what it is made of: tables of the study, records of the ledger, sources."""
