from tests.services.databases import database_url
from tests.services.postgres import postgres

__all__ = ["database_url", "postgres"]
