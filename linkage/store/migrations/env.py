"""Alembic's entry point; `linkage.store.sql.Database.migrate` hands over the connection."""

from alembic import context

from linkage.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
