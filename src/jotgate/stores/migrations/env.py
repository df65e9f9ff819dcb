"""What Alembic runs to migrate: the revisions, on the connection that `stores.migrator` has opened.

The transaction is the caller's, so that all revisions are done or none.
"""

from alembic import context

from jotgate.stores.schema import REVISION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=REVISION_TABLE)
context.run_migrations()
