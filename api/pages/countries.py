"""Countries to choose from, and what people call a jurisdiction."""

from domain.platform import jurisdictions
from domain.platform.jurisdictions import STATES

COUNTRIES = sorted(jurisdictions.COUNTRIES.items(), key=lambda one: one[1])
"""The countries of phone numbers by name: ISO 3166-1 alpha-2 code and name."""


def jurisdiction_name(code: str) -> str:
    """Name a jurisdiction: a state or province, or a country."""
    return STATES[code].name if code in STATES else jurisdictions.COUNTRIES.get(code, code)
