"""counts and names of the enrollments that were there before 0019

Revision: 0020, after 0019.

Each statement commits by itself and is harmless when repeated, so whatever is written stays written
if a later one has to give way. Enrollments are written some thousand at a time, and keep waiting
only who changes one of these; counting them locks nothing; making the index on them keeps them
from being changed, some seconds for a million.
"""

import sqlalchemy as sa
from alembic import op

revision = '0020'
down_revision = '0019'
branch_labels = None
depends_on = None

# The enrollment, and its contact's name and number, cannot change until they are written.
FILL = """
    WITH batch AS MATERIALIZED (
        SELECT id, sequence_id, contact_id, enrolled_at FROM enrollments
        WHERE id > :after ORDER BY id LIMIT 2000 FOR SHARE
    ), written AS (
        INSERT INTO enrollment_search (
            enrollment_id, sequence_id, contact_id, enrolled_at, search_name, phone
        )
        SELECT e.id, e.sequence_id, e.contact_id, e.enrolled_at, c.search_name, c.phone
        FROM batch e JOIN contacts c ON c.id = e.contact_id FOR SHARE OF c
        ON CONFLICT DO NOTHING
    )
    SELECT id FROM batch ORDER BY id DESC LIMIT 1
"""

# One snapshot: parts that it shows are of enrollments that it shows, and all others stay.
COUNT = """
    WITH gone AS (DELETE FROM enrollment_counts)
    INSERT INTO enrollment_counts (sequence_id, status, step, held, change)
    SELECT sequence_id, status, step, activity IS NOT DISTINCT FROM 'held', count(*)
    FROM enrollments GROUP BY 1, 2, 3, 4
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        fill()
        op.execute(COUNT)
        op.create_index('ix_enrollment_search_list', 'enrollment_search', ['sequence_id', 'enrolled_at', 'enrollment_id'], unique=False, postgresql_include=['search_name', 'phone', 'contact_id'], if_not_exists=True)
        op.create_index('ix_enrollment_search_name', 'enrollment_search', ['sequence_id', 'search_name', 'enrollment_id'], unique=False, postgresql_include=['phone', 'contact_id'], if_not_exists=True)
        op.create_index('ix_enrollment_search_trgm', 'enrollment_search', ['search_name', 'phone'], unique=False, postgresql_using='gin', postgresql_ops={'search_name': 'gin_trgm_ops', 'phone': 'gin_trgm_ops'}, postgresql_with={'gin_pending_list_limit': '1024'}, if_not_exists=True)
        op.execute('ANALYZE enrollment_search')
        op.create_index('ix_enrollments_cell', 'enrollments', ['sequence_id', 'status', 'step', 'enrolled_at', 'id'], unique=False, if_not_exists=True)
        op.drop_index('ix_enrollments_counts', table_name='enrollments', if_exists=True)


def fill() -> None:
    after: object = '00000000-0000-0000-0000-000000000000'
    while after is not None:
        after = op.get_bind().execute(sa.text(FILL), {'after': after}).scalar()


def downgrade() -> None:
    op.create_index('ix_enrollments_counts', 'enrollments', ['sequence_id', 'status', 'step'], unique=False)
    op.drop_index('ix_enrollments_cell', table_name='enrollments')
    for name in ('trgm', 'name', 'list'):
        op.drop_index(f'ix_enrollment_search_{name}', table_name='enrollment_search')
