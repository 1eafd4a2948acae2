"""Alembic, numbered, reversible, each one safe beside the release before it."""
