"""Countries to choose from, read from countries.toml."""

import tomllib
from pathlib import Path

_NAMES: dict[str, str] = tomllib.loads(
    Path(__file__).with_name("countries.toml").read_text(encoding="utf-8")
)

COUNTRIES = sorted(_NAMES.items(), key=lambda one: one[1])
"""The countries of phone numbers by name: ISO 3166-1 alpha-2 code and name."""
