"""held for missing data

Revision: 0024, after 0023.

Each statement commits by itself and is harmless when repeated. The check is validated afterwards,
which keeps nobody from writing. The release before must be gone before a text names a field or
variable: it cannot read an enrollment that is held for missing data.
"""

from alembic import op

revision = '0024'
down_revision = '0023'
branch_labels = None
depends_on = None

BEFORE = ('outcome_unknown', 'sender_on_hold', 'destination_not_allowed')


def reasons(*codes: str) -> None:
    """Check that enrollments are held for one of these reasons."""
    name, listed = 'ck_enrollments_held_reason_known', ', '.join(f"'{one}'" for one in codes)
    op.execute(
        f'ALTER TABLE enrollments DROP CONSTRAINT IF EXISTS {name},'
        f' ADD CONSTRAINT {name} CHECK (held_reason IN ({listed})) NOT VALID'
    )
    op.execute(f'ALTER TABLE enrollments VALIDATE CONSTRAINT {name}')


def upgrade() -> None:
    with op.get_context().autocommit_block():
        reasons(*BEFORE, 'missing_data')


def downgrade() -> None:
    op.execute(
        "UPDATE enrollments SET activity = 'waiting', held_reason = NULL, next_send_at = now()"
        " WHERE held_reason = 'missing_data'"
    )
    op.execute("DELETE FROM wakes WHERE kind = 'data_filled'")
    reasons(*BEFORE)
