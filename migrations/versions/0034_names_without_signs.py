"""names are searched without their apostrophes, periods and hyphens

Revision: 0034, after 0032.

PostgreSQL's ``folded_name`` folds names as ``domain.platform.folding.folded_name`` does from now on,
and only the contacts whose name is folded otherwise are written again, some thousand at a time;
their enrollments get the names by the trigger of 0019.

Each statement commits by itself and is harmless when repeated. The release before goes on meanwhile,
and finds names that have such a sign if it is asked without it.
"""

import sqlalchemy as sa
from alembic import op

revision = '0034'
down_revision = '0033'
branch_labels = None
depends_on = None

ACCENTS = (
    r'[\u00ad\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f'
    r'\u0670\u1ab0-\u1aff\u1dc0-\u1dff\u200b-\u200f\u2060\u20d0-\u20ff\ufe20-\ufe2f\ufeff]'
)

# Capitals too, for a database whose locale lowers ASCII alone.
LETTERS = ('øØłŁđĐðÐħĦŧŦıςẞÆŒÞ', 'oollddddhhttiσßæœþ')
BEFORE = (
    f'{LETTERS[0]}\u2018\u2019\u02bc\u2032\u2010\u2012\u2013\u2014\u2212',
    f"{LETTERS[1]}''''-----",
)

HYPHENS = '-\u2010\u2012\u2013\u2014\u2015\u2043\u2212\u05be'
LEFT_OUT = "'`.\u2018\u2019\u201b\u02b9\u02bb\u02bc\u2032\u2035\ua78c\u05f3"
# What has no counterpart is left out.
AFTER = (f'{LETTERS[0]}{HYPHENS}{LEFT_OUT}', LETTERS[1] + ' ' * len(HYPHENS))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _function(ascii_only: str, name: str, signs: tuple[str, str]) -> str:
    """Most names are ASCII, and done with at once."""
    return f"""
        CREATE OR REPLACE FUNCTION folded_name(name text) RETURNS text
        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
            SELECT CASE WHEN octet_length(name) = length(name) THEN {ascii_only} ELSE
                replace(replace(replace(replace(
                    translate(
                        lower(regexp_replace(normalize({name}, NFKD), '{ACCENTS}', '', 'g')),
                        {_quoted(signs[0])}, {_quoted(signs[1])}
                    ),
                    'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th')
            END
        $$
    """


FOLDED = _function(
    f"translate(lower(name), {_quoted('-' + LEFT_OUT[:3])}, ' ')",
    "replace(name, '\u00b4', '')",
    AFTER,
)
FOLDED_BEFORE = _function('lower(name)', 'name', BEFORE)

# Nothing of a contact changes; the trigger writes the name.
FILL = """
    WITH batch AS MATERIALIZED (
        SELECT id, search_name, folded_name(btrim(first_name || ' ' || last_name)) AS folded
        FROM contacts WHERE id > :after ORDER BY id LIMIT 2000
    ), written AS (
        UPDATE contacts c SET first_name = c.first_name FROM batch
        WHERE c.id = batch.id AND batch.search_name <> batch.folded
    )
    SELECT id FROM batch ORDER BY id DESC LIMIT 1
"""


def _fold(function: str) -> None:
    with op.get_context().autocommit_block():
        op.execute(function)
        after: object = '00000000-0000-0000-0000-000000000000'
        while after is not None:
            after = op.get_bind().execute(sa.text(FILL), {'after': after}).scalar()


def upgrade() -> None:
    _fold(FOLDED)


def downgrade() -> None:
    _fold(FOLDED_BEFORE)
