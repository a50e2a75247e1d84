"""Run by Alembic, with the connection that `stores.revisions` hands it."""

from alembic import context

from octomil.control.stores.sql import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
