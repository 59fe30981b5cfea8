"""Time in the shared database: it passes when every timestamp is moved back."""

from storage.schema import METADATA

_MOMENTS = {
    table.name: moments
    for table in METADATA.sorted_tables
    if table.name != "audit_log"  # which is never changed
    and (moments := [c.name for c in table.columns if getattr(c.type, "timezone", False)])
}

_UPDATES = {
    table: f"UPDATE {table} SET {', '.join(f'{column} = {column} - passed' for column in columns)};"  # noqa: S608 - ours
    for table, columns in _MOMENTS.items()
}
_LEDGER = _UPDATES.pop("consents")
"""A trigger keeps anybody from changing it."""

PASS_TIME = f"""
    CREATE FUNCTION pass_time(passed interval) RETURNS void LANGUAGE plpgsql
    AS $$ BEGIN
        {" ".join(_UPDATES.values())}
        PERFORM set_config('session_replication_role', 'replica', true);
        {_LEDGER}
        PERFORM set_config('session_replication_role', 'origin', true);
    END $$
"""
"""A function, for a connection keeps the plans of its statements, and it is called often."""
