"""The ledger of the packaged example: public figures of four countries, from files of the study."""

from __future__ import annotations

from pathlib import Path

FOLDER = "ledger"
AUTHOR = "abatis example"


def import_example_ledger(folder: Path) -> int:
    """Import the ledger files of an example into its ledger, and return how many records were added.

    Parameters
    ----------
    folder : the study, with a CSV file for each kind of record in its folder `ledger`.

    Raises
    ------
    InputError : a file was edited and is wrong.
    LedgerError : the database cannot be reached.

    In words: what the ledger holds already is not recorded again, so this may be done any number of times.
    """
    # The database is loaded only here: most commands need none.
    from abatis.programme.ledger.importing import import_records
    from abatis.programme.ledger.store import open_ledger

    with open_ledger(folder) as ledger:
        return sum(
            len(import_records(ledger, path, AUTHOR).added)
            for path in sorted((folder / FOLDER).glob("*.csv"))
        )
