"""The provider's errors as people read them."""

from typing import NamedTuple, Self

from domain.platform.provider_errors import explain


class Fault(NamedTuple):
    """An error of the provider, in words."""

    code: int | None
    meaning: str

    @classmethod
    def of(cls, code: int | None, *, failed: bool = False) -> Self | None:
        """Explain a code; None if there is none, unless something failed without one."""
        return cls(code, explain(code)) if failed or code is not None else None
