"""Alembic's scripts. ``env.py`` and what is in ``versions`` is run by Alembic, not imported."""
