"""How the database came to have its tables; Alembic reads it, and only where it must."""
