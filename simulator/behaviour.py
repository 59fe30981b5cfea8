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
    """Return a fault that is answered with an HTTP status; 502 and the like come as HTML."""
    if status not in CODE_OF_STATUS:
        return Fault(FaultKind.HTML, status=status, creates=creates)
    return Fault(FaultKind.ERROR, CODE_OF_STATUS[status], creates=creates)


class NextFaults(BaseModel):
    """The next so many requests go wrong."""

    model_config = ConfigDict(extra="forbid")

    count: Annotated[int, Field(ge=0)] = 1
    status: _Status = 500
    kind: FaultKind | None = None
    creates: bool = False

    def take(self) -> Fault | None:
        """Return the fault of one request and count it, or ``None`` when all are used up."""
        if self.count == 0:
            return None
        self.count -= 1
        if self.kind is None or self.kind is FaultKind.ERROR:
            return fault_of_status(self.status, creates=self.creates)
        return Fault(self.kind, status=self.status, creates=self.creates)


class Behaviour(BaseModel):
    """How the account behaves at present.

    Attributes:
        fail_next_creates: The next creates go wrong: with an HTTP ``status``, or with
            another ``kind``; with ``creates`` the message is created nevertheless.
        fail_next_lists: As above, for lists and fetches.
        create_delay_seconds: How long every create takes, at the least.
        error_rate: HTTP status to the share of creates that get it, nothing created.
        callbacks: How status callbacks are sent where the number does not say otherwise.
        callback_delay_seconds: The most that a message's reports come late, at random.
        credentials_ok: ``False`` answers every API request with 401.
        sender_errors: Number or service to a code: below 30000 it refuses the create, else the
            message fails with it.
        list_lag_seconds: How long a new message is missing from lists.
        habit: What the account does to the texts that it shows; the control API shows them as they
            were handed over.
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

    def changed_by(self, change: "Behaviour") -> "Behaviour":
        """Return this behaviour with everything that the change names."""
        named = {name: getattr(change, name) for name in change.model_fields_set}
        return self.model_copy(update=named)

    def fault_of_create(self, random: Random) -> Fault | None:
        """Return what is wrong with one create, if anything."""
        fault = self.fail_next_creates.take() if self.fail_next_creates else None
        if fault is not None or not self.error_rate:
            return fault
        draw = random.random()
        for status, share in self.error_rate.items():
            if draw < share:
                return fault_of_status(status)
            draw -= share
        return None

    def fault_of_list(self) -> Fault | None:
        """Return what is wrong with one list or fetch, if anything."""
        return self.fail_next_lists.take() if self.fail_next_lists else None

    def sender_error(self, *senders: str | None) -> int | None:
        """Return the code that the first of these senders is struck with."""
        for sender in senders:
            if sender is not None and sender in self.sender_errors:
                return self.sender_errors[sender]
        return None
