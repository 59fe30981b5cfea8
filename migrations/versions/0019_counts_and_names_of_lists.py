"""counts and names that lists go by, kept from now on

Revision: 0019, after 0018. The enrollments that are there already are written by 0020.
"""

import sqlalchemy as sa
from alembic import op

revision = '0019'
down_revision = '0018'
branch_labels = None
depends_on = None

CELL = "{0}.sequence_id, {0}.status, {0}.step, {0}.activity IS NOT DISTINCT FROM 'held'"

LISTED = '{0}.sequence_id, {0}.contact_id, {0}.enrolled_at'

COUNT = f"""
    INSERT INTO enrollment_counts (sequence_id, status, step, held, change)
    SELECT {CELL.format('e')}, {{sign}}count(*) FROM {{rows}} e GROUP BY 1, 2, 3, 4
"""
LIST = """
    INSERT INTO enrollment_search (
        enrollment_id, sequence_id, contact_id, enrolled_at, search_name, phone
    )
    SELECT e.id, e.sequence_id, e.contact_id, e.enrolled_at, c.search_name, c.phone
    FROM {rows} e JOIN contacts c ON c.id = e.contact_id
"""


def trigger(name: str, event: str, body: str, what: str = '') -> None:
    """Run statements after each statement of this kind, or after each row if ``what`` says so."""
    op.execute(
        f"""
        CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            {body};
            RETURN NULL;
        END $$
        """
    )
    op.execute(f'CREATE TRIGGER {name} AFTER {event} {what} EXECUTE FUNCTION {name}()')


def upgrade() -> None:
    op.create_table('enrollment_counts',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('sequence_id', sa.Uuid(), nullable=False),
    sa.Column('status', sa.String(length=32), nullable=False),
    sa.Column('step', sa.Integer(), nullable=False),
    sa.Column('held', sa.Boolean(), nullable=False),
    sa.Column('change', sa.Integer(), nullable=False),
    sa.Column('folded', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_enrollment_counts')),
    )
    op.create_table('enrollment_search',
    sa.Column('enrollment_id', sa.Uuid(), nullable=False),
    sa.Column('sequence_id', sa.Uuid(), nullable=False),
    sa.Column('contact_id', sa.Uuid(), nullable=False),
    sa.Column('enrolled_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('search_name', sa.Text(), nullable=False),
    sa.Column('phone', sa.String(), nullable=False),
    )
    op.create_primary_key('pk_enrollment_search', 'enrollment_search', ['enrollment_id'])
    op.create_index('ix_enrollment_counts_sequence', 'enrollment_counts', ['sequence_id'], unique=False)
    op.create_index('uq_enrollment_counts_folded', 'enrollment_counts', ['sequence_id', 'status', 'step', 'held'], unique=True, postgresql_where=sa.text('folded'))
    op.create_index('ix_enrollment_search_contact', 'enrollment_search', ['contact_id', 'sequence_id'], unique=False, postgresql_include=['enrollment_id'])
    trigger(
        'enrollments_begin', 'INSERT ON enrollments',
        COUNT.format(sign='', rows='born') + ';' + LIST.format(rows='born'),
        'REFERENCING NEW TABLE AS born FOR EACH STATEMENT',
    )
    trigger(
        'enrollments_go', 'DELETE ON enrollments',
        COUNT.format(sign='-', rows='gone')
        + '; DELETE FROM enrollment_search s USING gone WHERE s.enrollment_id = gone.id',
        'REFERENCING OLD TABLE AS gone FOR EACH STATEMENT',
    )
    # Each row, for most changes change no count: a condition costs them less than a statement.
    trigger(
        'enrollments_move', 'UPDATE OF sequence_id, status, step, activity ON enrollments',
        f"""
        INSERT INTO enrollment_counts (sequence_id, status, step, held, change)
        VALUES ({CELL.format('OLD')}, -1), ({CELL.format('NEW')}, 1)
        """,
        f"FOR EACH ROW WHEN (({CELL.format('OLD')}) IS DISTINCT FROM ({CELL.format('NEW')}))",
    )
    trigger(
        'enrollments_relist', 'UPDATE OF sequence_id, contact_id, enrolled_at ON enrollments',
        """
        UPDATE enrollment_search s SET sequence_id = NEW.sequence_id,
            contact_id = NEW.contact_id, enrolled_at = NEW.enrolled_at,
            search_name = c.search_name, phone = c.phone
        FROM contacts c WHERE s.enrollment_id = NEW.id AND c.id = NEW.contact_id
        """,
        f"FOR EACH ROW WHEN (({LISTED.format('OLD')}) IS DISTINCT FROM ({LISTED.format('NEW')}))",
    )
    trigger(
        'contacts_rename', 'UPDATE OF first_name, last_name, phone ON contacts',
        """
        UPDATE enrollment_search SET search_name = NEW.search_name, phone = NEW.phone
        WHERE contact_id = NEW.id
        """,
        'FOR EACH ROW WHEN ((OLD.search_name, OLD.phone) IS DISTINCT FROM (NEW.search_name, NEW.phone))',
    )


def downgrade() -> None:
    for table, name in (
        ('contacts', 'contacts_rename'),
        ('enrollments', 'enrollments_relist'),
        ('enrollments', 'enrollments_move'),
        ('enrollments', 'enrollments_go'),
        ('enrollments', 'enrollments_begin'),
    ):
        op.execute(f'DROP TRIGGER {name} ON {table}')
        op.execute(f'DROP FUNCTION {name}()')
    op.drop_table('enrollment_search')
    op.drop_table('enrollment_counts')
