"""The database of accounts and usage: SQLite or PostgreSQL, by URL."""

from tallygate.gateway.database.base import Instant, Money, metadata
from tallygate.gateway.database.engine import Database
from tallygate.gateway.database.errors import DatabaseAway, DatabaseError
from tallygate.gateway.database.naming import named

__all__ = ["Database", "DatabaseAway", "DatabaseError", "Instant", "Money", "metadata", "named"]
