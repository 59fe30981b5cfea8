"""The sequence that a preview of enrolling is for: what its texts say, and take."""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from types import MappingProxyType
from uuid import UUID

from domain.contacts.consents import Agreed
from domain.sequences.texts import Value, merge_values, missing
from domain.statuses.contacts import ConsentNeeded
from services.enrollments.enrolling import open_sequence, shared_variables
from storage.contacts import consents
from storage.platform.database import Transaction

Given = Mapping[str, object]
"""Variables as they are written, by key."""

NOTHING: Given = MappingProxyType({})


@dataclass(frozen=True)
class Target:
    """The sequence to enroll into.

    Attributes:
        texts: Those that cannot go without something else than the variables, and whether they
            have pictures.
        variables: Everybody's, by key.
        consent: What texts of its purpose take.
    """

    id: UUID
    texts: Many[tuple[str, bool]]
    variables: Mapping[str, Value]
    consent: ConsentNeeded

    def lacks(
        self,
        first_name: str,
        last_name: str,
        phone: str,
        fields_: Mapping[str, Value],
        variables: Mapping[str, Value] = MappingProxyType({}),
    ) -> tuple[str, ...]:
        """List what texts to a contact could not say, each name once."""
        if not self.texts:
            return ()
        said = {**self.variables, **variables}
        values = merge_values(first_name, last_name, phone, fields_, said)
        found = (missing(body, values, has_media=pictured) for body, pictured in self.texts)
        return tuple(dict.fromkeys(name for names in found for name in names))

    async def unconsented(self, tx: Transaction, phones: Many[str]) -> set[str]:
        """Read which numbers no text goes to before a consent is on record."""
        if self.consent is ConsentNeeded.NONE:
            return set()
        return await consents.without(tx, phones, self.id)

    def suffices(self, consent: Agreed) -> bool:
        """Tell whether a consent that is yet to be noted is what its texts take."""
        return consent.written or self.consent is not ConsentNeeded.WRITTEN


async def target_of(tx: Transaction, sequence_id: UUID, variables: Given) -> Target:
    """Lock a sequence for enrolling, and check the variables for it.

    Raises:
        NotFoundError: There is no such sequence.
        ConflictError: ``sequence_not_active``.
        InvalidRequestError: See ``shared_variables``.
    """
    sequence = await open_sequence(tx, sequence_id)
    shared = await shared_variables(tx, sequence_id, variables)
    # A date that a step goes by is needed as if its text said it.
    dates = (f"{{{{{step.anchor_key}}}}}" if step.anchor_key else "" for step in sequence.steps)
    texts = [
        (step.body + date, bool(step.media_urls))
        for step, date in zip(sequence.steps, dates, strict=True)
    ]
    needy = [one for one in texts if missing(one[0], shared, has_media=one[1])]
    consent = await consents.needed(tx, sequence_id)
    return Target(sequence_id, needy, shared, consent)
