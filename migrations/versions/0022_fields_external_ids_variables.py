"""fields and external ids of contacts, their owners, variables of enrollments

Revision: 0022, after 0021.

Each statement commits by itself and is harmless when repeated, so none holds a table's lock while
another is waited for. No column's values are written, so tables are locked for moments only; the
indexes are made while contacts are written. The release before goes on meanwhile: it knows none of
the columns.
"""

from alembic import op

revision = '0022'
down_revision = '0021'
branch_labels = None
depends_on = None

COLUMNS = (
    ('contacts', 'external_id varchar'),
    ('contacts', "fields jsonb NOT NULL DEFAULT '{}'"),
    ('contacts', 'owner_id uuid'),
    ('enrollments', "variables jsonb NOT NULL DEFAULT '{}'"),
    ('enrollments', "missing_fields jsonb NOT NULL DEFAULT '[]'"),
)

INDEXES = (
    ('uq_contacts_external_id', 'UNIQUE', 'contacts (external_id)'),
    ('ix_contacts_updated', '', 'contacts (updated_at, id)'),
    ('ix_contacts_owner', '', 'contacts (owner_id) WHERE owner_id IS NOT NULL'),
    ('ix_contacts_fields', '', 'contacts USING gin (fields jsonb_path_ops)'),
)

FIELDS = """
    CREATE TABLE IF NOT EXISTS contact_fields (
        id uuid NOT NULL,
        key varchar NOT NULL,
        label varchar NOT NULL,
        type varchar(32) NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_contact_fields PRIMARY KEY (id),
        CONSTRAINT uq_contact_fields_key UNIQUE (key),
        CONSTRAINT ck_contact_fields_type_known
            CHECK (type IN ('text', 'number', 'date', 'boolean', 'url'))
    )
"""

OWNER = """
    ALTER TABLE contacts DROP CONSTRAINT IF EXISTS fk_contacts_owner_id,
        ADD CONSTRAINT fk_contacts_owner_id FOREIGN KEY (owner_id) REFERENCES users (id) NOT VALID
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(FIELDS)
        for table, column in COLUMNS:
            op.execute(f'ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column}')
        op.execute(OWNER)
        op.execute('ALTER TABLE contacts VALIDATE CONSTRAINT fk_contacts_owner_id')
        for name, unique, on in INDEXES:
            op.execute(f'DROP INDEX CONCURRENTLY IF EXISTS {name}')
            op.execute(f'CREATE {unique} INDEX CONCURRENTLY {name} ON {on}')


def downgrade() -> None:
    for name, _unique, _on in INDEXES:
        op.execute(f'DROP INDEX {name}')
    for table, column in reversed(COLUMNS):
        op.execute(f'ALTER TABLE {table} DROP COLUMN {column.split()[0]}')
    op.execute('DROP TABLE contact_fields')
