"""Rows: one SQL code for SQLite and Postgres, one file per resource."""
