"""names are searched with one space where several would be

Revision: 0036, after 0035.

A hyphen is a space to ``folded_name``: one between spaces, as in "Anne - Marie", made three of it.
PostgreSQL's function and ``domain.platform.folding.folded_name`` leave one from now on, and only the
contacts whose name is folded otherwise are written again, some thousand at a time; their enrollments
get the names by the trigger of 0019.

Each statement commits by itself and is harmless when repeated. The release before goes on meanwhile,
and finds such a name if it is asked for a part of it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = '0035'
branch_labels = None
depends_on = None

ACCENTS = (
    r"[\u00ad\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f"
    r"\u0670\u1ab0-\u1aff\u1dc0-\u1dff\u200b-\u200f\u2060\u20d0-\u20ff\ufe20-\ufe2f\ufeff]"
)

# Capitals too, for a database whose locale lowers ASCII alone.
LETTERS = ("øØłŁđĐðÐħĦŧŦıςẞÆŒÞ", "oollddddhhttiσßæœþ")

HYPHENS = "-\u2010\u2012\u2013\u2014\u2015\u2043\u2212\u05be"
LEFT_OUT = "'`.\u2018\u2019\u201b\u02b9\u02bb\u02bc\u2032\u2035\ua78c\u05f3"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


# Most names are ASCII, and done with at once. What has no counterpart in ``translate`` is left out.
FOLDED_BEFORE = f"""
    CASE WHEN octet_length(name) = length(name)
        THEN translate(lower(name), {_quoted("-" + LEFT_OUT[:3])}, ' ')
    ELSE
        replace(replace(replace(replace(
            translate(
                lower(regexp_replace(
                    normalize(replace(name, '\u00b4', ''), NFKD), '{ACCENTS}', '', 'g'
                )),
                {_quoted(LETTERS[0] + HYPHENS + LEFT_OUT)},
                {_quoted(LETTERS[1] + " " * len(HYPHENS))}
            ),
            'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th')
    END
"""
FOLDED = f"regexp_replace({FOLDED_BEFORE}, '  +', ' ', 'g')"

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


def _fold(folded: str) -> None:
    with op.get_context().autocommit_block():
        op.execute(
            "CREATE OR REPLACE FUNCTION folded_name(name text) RETURNS text"
            f" LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT {folded} $$"
        )
        after: object = "00000000-0000-0000-0000-000000000000"
        while after is not None:
            after = op.get_bind().execute(sa.text(FILL), {"after": after}).scalar()


def upgrade() -> None:
    _fold(FOLDED)


def downgrade() -> None:
    _fold(FOLDED_BEFORE)
