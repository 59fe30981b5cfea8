"""Faults of the whole account, set at run time."""

from random import Random
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from simulator.errors import CODE_OF_STATUS
from simulator.habits import Habit
from simulator.scenarios import Fault, FaultKind, Reporting

_Rate = Annotated[float, Field(ge=0, le=1)]
_Status = Annotated[int, Field(ge=400, le=599)]


def fault_of_status(status: int, *, creates: bool = False) -> Fault:
    """Return the fault for an HTTP status; 502 and other statuses without a code become HTML."""
    if status not in CODE_OF_STATUS:
        return Fault(FaultKind.HTML, status=status, creates=creates)
    return Fault(FaultKind.ERROR, CODE_OF_STATUS[status], creates=creates)


class NextFaults(BaseModel):
    """Faults of the next ``count`` requests."""

    model_config = ConfigDict(extra="forbid")

    count: Annotated[int, Field(ge=0)] = 1
    status: _Status = 500
    kind: FaultKind | None = None
    creates: bool = False

    def take(self) -> Fault | None:
        """Return the fault of one request and count it; None when all are used up."""
        if self.count == 0:
            return None
        self.count -= 1
        if self.kind is None or self.kind is FaultKind.ERROR:
            return fault_of_status(self.status, creates=self.creates)
        return Fault(self.kind, status=self.status, creates=self.creates)


class Behavior(BaseModel):
    """The account's present behavior.

    Attributes:
        fail_next_creates: Faults of the next creates: an HTTP ``status`` or another ``kind``;
            with ``creates``, the message is created all the same.
        fail_next_lists: The same for lists and fetches.
        create_delay_seconds: The least duration of a create.
        error_rate: The share of creates answered with an HTTP status, nothing created.
        callbacks: How status callbacks are sent, unless the number says otherwise.
        callback_delay_seconds: The most that a message's callbacks are late, at random.
        credentials_ok: False answers every API request with 401.
        sender_errors: Codes by number or service: one below 30000 refuses the create, any
            other fails the message.
        list_lag_seconds: How long a new message is missing from lists.
        habit: How the API alters the texts it shows; the control API shows the originals.
    """

    model_config = ConfigDict(extra="forbid")

    fail_next_creates: NextFaults | None = None
    fail_next_lists: NextFaults | None = None
    create_delay_seconds: Annotated[float, Field(ge=0, le=120)] = 0
    error_rate: dict[_Status, _Rate] = {}
    callbacks: Reporting = Reporting.ON
    callback_delay_seconds: Annotated[float, Field(ge=0, le=600)] = 0
    credentials_ok: bool = True
    sender_errors: dict[str, int] = {}
    list_lag_seconds: Annotated[float, Field(ge=0)] = 0
    habit: Habit | None = None

    @model_validator(mode="after")
    def _rates_are_shares(self) -> Self:
        if sum(self.error_rate.values()) > 1:
            raise ValueError("the shares of error_rate add up to more than 1")
        return self

    def changed_by(self, change: "Behavior") -> "Behavior":
        """Return this behavior with every field that the change sets."""
        named = {name: getattr(change, name) for name in change.model_fields_set}
        return self.model_copy(update=named)

    def fault_of_create(self, random: Random) -> Fault | None:
        """Return the fault of one create, if any."""
        fault = self.fail_next_creates.take() if self.fail_next_creates else None
        if fault is not None or not self.error_rate:
            return fault
        draw = random.random()
        for status, share in self.error_rate.items():
            if draw < share:
                return fault_of_status(status)
            draw -= share
        return None

    def sender_error(self, *senders: str | None) -> int | None:
        """Return the error code of the first of these senders that has one."""
        for sender in senders:
            if sender is not None and sender in self.sender_errors:
                return self.sender_errors[sender]
        return None
