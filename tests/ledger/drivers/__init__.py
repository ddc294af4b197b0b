"""What the tests run in an interpreter of its own, because it forks, kills and closes what it should not.

``python -m ledger.drivers ROOM FUNCTION ARGUMENTS``: arguments and result are JSON.
"""
