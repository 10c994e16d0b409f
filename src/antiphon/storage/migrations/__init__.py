"""Alembic's folder: ``env`` and the revisions. Nothing here is imported while serving."""
