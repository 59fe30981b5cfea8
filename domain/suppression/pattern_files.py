"""The data files of patterns by which texts are read, checked when they are loaded."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from domain.platform.folding import folded

FOLDER = Path(__file__).parent
NAMES = "names"
"""The table of what stands for ``<name>`` in a pattern."""


class PatternFileError(Exception):
    """A data file of patterns is not as it has to be."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")


class PatternFile:
    """The lists and tables of a TOML file of regular expressions.

    An array within a list is one pattern: its entries are alternatives. Characters beyond ASCII are
    folded, as the texts are that the patterns are looked for in.
    """

    def __init__(self, name: str, text: str) -> None:
        """Read a file's text.

        Raises:
            PatternFileError: It is no TOML, or its names are no table.
        """
        self._name = name
        try:
            self._content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise PatternFileError(name, f"no TOML: {error}") from None
        self._names = self.table(NAMES)

    def patterns(self, key: str) -> list[str]:
        """Return the patterns of a list, their names replaced.

        Raises:
            PatternFileError: There is no such list, or a pattern in it is none.
        """
        found = self._content.get(key)
        if not isinstance(found, list) or not found:
            raise PatternFileError(self._name, f"{key} is no list of patterns")
        return [self._pattern(f"{key}[{place}]", entry) for place, entry in enumerate(found)]

    def table(self, key: str) -> Mapping[str, str]:
        """Return a table of texts.

        Raises:
            PatternFileError: There is no such table, or it holds something else.
        """
        found = self._content.get(key)
        if not isinstance(found, dict):
            raise PatternFileError(self._name, f"{key} is no table")
        return {name: self._joined(f"{key}.{name}", entry) for name, entry in found.items()}

    def _pattern(self, where: str, entry: object) -> str:
        pattern = self._joined(where, entry)
        try:
            while re.search(r"<\w+>", pattern):
                pattern = re.sub(r"<(\w+)>", lambda name: f"(?:{self._names[name[1]]})", pattern)
            pattern = re.sub(r"[^\x00-\x7f]+", lambda found: folded(found[0]), pattern)
            re.compile(pattern)
        except KeyError as error:
            raise PatternFileError(self._name, f"{where}: no name {error}") from None
        except re.error as error:
            raise PatternFileError(self._name, f"{where}: {error}") from None
        return pattern

    def _joined(self, where: str, entry: object) -> str:
        parts = entry if isinstance(entry, list) else [entry]
        texts = [part for part in parts if isinstance(part, str) and part]
        if not texts or texts != parts:
            raise PatternFileError(self._name, f"{where} is no text")
        return "|".join(texts)


def loaded(name: str) -> PatternFile:
    """Read a data file of this package."""
    return PatternFile(name, (FOLDER / name).read_text(encoding="utf-8"))


def any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    """Return what finds any of some patterns."""
    return re.compile(_alternatives(patterns))


def whole_words(*patterns: str) -> re.Pattern[str]:
    """Return what finds any of some patterns where they begin and end with a word."""
    return re.compile(rf"(?<!\w)(?:{_alternatives(patterns)})(?!\w)")


def _alternatives(patterns: Iterable[str]) -> str:
    return "|".join(f"(?:{pattern})" for pattern in patterns)
