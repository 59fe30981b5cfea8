"""background work on contacts: groups, owners, opt-outs

Revision: 0030, after 0029.

Each statement commits by itself and is harmless when repeated. The check is validated afterwards,
which keeps nobody from writing. The release before must be gone before somebody acts on contacts in
bulk: it cannot read a job of a kind that it does not know.
"""

from alembic import op

revision = '0030'
down_revision = '0029'
branch_labels = None
depends_on = None

BEFORE = (
    'import_contacts',
    'import_suppressions',
    'enrol',
    'mark_finished',
    'add_to_group',
    'pause',
    'resume',
    'release',
)
ADDED = ('group_contacts', 'ungroup_contacts', 'assign_contacts', 'opt_out_contacts')


def kinds(*codes: str) -> None:
    """Check that jobs are of one of these kinds."""
    name, listed = 'ck_jobs_kind_known', ', '.join(f"'{one}'" for one in codes)
    op.execute(
        f'ALTER TABLE jobs DROP CONSTRAINT IF EXISTS {name},'
        f' ADD CONSTRAINT {name} CHECK (kind IN ({listed})) NOT VALID'
    )
    op.execute(f'ALTER TABLE jobs VALIDATE CONSTRAINT {name}')


def upgrade() -> None:
    with op.get_context().autocommit_block():
        kinds(*BEFORE, *ADDED)


def downgrade() -> None:
    listed = ', '.join(f"'{one}'" for one in ADDED)
    op.execute(f'DELETE FROM jobs WHERE kind IN ({listed})')
    kinds(*BEFORE)
