"""Copies what can be read of an environment that may be torn.

``python -m tallygate.gateway.state.salvage OLD NEW SIZE``: a process of its own, because LMDB
may crash over a broken file.
"""

import sys

import lmdb

DATABASES = 32
"""Named databases that an environment can hold."""


def salvage(old: str, new: str, size: int) -> None:
    """Copy every entry of every database. Raises lmdb.Error."""
    source = lmdb.open(old, map_size=size, subdir=False, readonly=True, lock=False, max_dbs=DATABASES)
    target = lmdb.open(new, map_size=size, subdir=False, lock=False, max_dbs=DATABASES, mode=0o600)
    with source.begin() as reading:
        names = [bytes(name) for name, _ in reading.cursor()]
    databases = [(source.open_db(name, create=False), target.open_db(name)) for name in names]
    with source.begin() as reading, target.begin(write=True) as writing:
        for theirs, ours in databases:
            for key, value in reading.cursor(theirs):
                writing.put(key, value, append=True, db=ours)
    target.close()
    source.close()


if __name__ == "__main__":
    salvage(sys.argv[1], sys.argv[2], int(sys.argv[3]))
