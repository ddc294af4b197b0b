"""Alembic's environment: runs migrations on the connection that ``migrating.configuration`` carries."""

import logging

from alembic import context

from tallygate.gateway.accounts import tables as accounts_tables
from tallygate.gateway.database.base import metadata
from tallygate.gateway.usage import tables as usage_tables

TABLES = (accounts_tables, usage_tables)
"""Modules that declare tables, so that the metadata has them all."""

# Every worker would tell of every start.
logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
