"""import of opt-outs

Revision: 0008, after 0007.
"""

from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None

_KINDS = "'import_contacts', 'import_suppressions', 'enrol', 'mark_finished', 'add_to_group', 'pause', 'resume', 'release'"
_FORMER = "'import_contacts', 'enrol', 'mark_finished', 'add_to_group', 'pause', 'resume', 'release'"


def upgrade() -> None:
    op.drop_constraint(op.f('ck_jobs_kind_known'), 'jobs', type_='check')
    op.create_check_constraint(op.f('ck_jobs_kind_known'), 'jobs', f'kind IN ({_KINDS})')


def downgrade() -> None:
    op.execute("DELETE FROM jobs WHERE kind = 'import_suppressions'")
    op.drop_constraint(op.f('ck_jobs_kind_known'), 'jobs', type_='check')
    op.create_check_constraint(op.f('ck_jobs_kind_known'), 'jobs', f'kind IN ({_FORMER})')
