"""The database of accounts and usage: SQLite or PostgreSQL, by URL."""
