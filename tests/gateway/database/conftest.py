from __future__ import annotations

from tests.services.databases import database_url, empty_database_url
from tests.services.postgres import postgres

__all__ = ["database_url", "empty_database_url", "postgres"]
