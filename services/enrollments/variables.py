"""Changing the variables of an enrollment."""

from collections.abc import Mapping
from contextlib import suppress
from uuid import UUID

from domain.enrollments.variables import MAX_VARIABLES, checked_variables
from domain.platform.errors import ConflictError, InvalidFieldError, Problems, required
from domain.sequences.steps import keys_of
from services.contacts.contacts import Contacts
from services.platform import audit
from storage.enrollments import variables as rows
from storage.enrollments.waking import data_changed
from storage.platform.database import Database, Transaction
from storage.platform.locks import MovedError
from storage.sequences.sequences import steps_of


class Variables:
    """Changes variables; texts that start afterwards say them."""

    def __init__(self, database: Database, contacts: Contacts) -> None:
        self._database = database
        self._contacts = contacts

    async def fill_in(
        self,
        enrollment_id: UUID,
        user_id: UUID,
        *,
        fields: Mapping[str, object],
        variables: Mapping[str, object],
    ) -> None:
        """Set fields of an enrollment's contact and its variables, all of them or none.

        Raises:
            NotFoundError: There is no such enrollment.
            ConflictError: ``already_final``, if there are variables.
            InvalidRequestError: All that are wrong, as ``fields.key`` and ``variables.key``.
        """
        while True:
            with suppress(MovedError):
                async with self._database.transaction() as tx:
                    found = await rows.contact_of(tx, enrollment_id)
                    contact_id = required(found, "enrollment", enrollment_id)
                    problems = Problems()
                    if fields:  # first, for the order of the locks
                        with problems.collect():
                            await self._contacts.update_within(tx, contact_id, {"fields": fields})
                    if variables:
                        with problems.collect():
                            await self.change(enrollment_id, variables, user_id, within=tx)
                    problems.raise_any()
                return

    async def change(
        self,
        enrollment_id: UUID,
        variables: Mapping[str, object],
        user_id: UUID,
        *,
        within: Transaction | None = None,
    ) -> None:
        """Set variables of an active enrollment; None removes one, the others stay.

        If it is held for missing data that is there now, it goes on by itself.

        Raises:
            NotFoundError: There is no such enrollment.
            ConflictError: ``already_final``.
            InvalidRequestError: See ``checked_variables``.
            InvalidFieldError: ``too_many_variables``.
        """
        async with self._database.within(within) as tx:
            row = required(await rows.lock(tx, enrollment_id), "enrollment", enrollment_id)
            if row.status.is_final:
                raise ConflictError(
                    "already_final",
                    "the enrollment has ended; enroll the contact again with these variables",
                )
            used = keys_of(await steps_of(tx, row.version_id))
            values = checked_variables(variables, field="variables", used=used)
            after = {**row.variables, **values}
            if sum(value is not None for value in after.values()) > MAX_VARIABLES:
                raise InvalidFieldError(
                    "variables",
                    f"would be more than {MAX_VARIABLES}; remove some with null",
                    code="too_many_variables",
                )
            if not values:
                return
            await rows.change(tx, enrollment_id, values)
            await audit.record(
                tx,
                "enrollment.change",
                "enrollment",
                [enrollment_id],
                user_id=user_id,
                fields=" ".join(sorted(values)),
            )
            await data_changed(tx, [row.contact_id])
