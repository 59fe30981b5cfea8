"""The data files of patterns by which texts are read, checked when they are loaded."""

import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

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
            _check(pattern)
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


def _check(pattern: str) -> None:
    """Refuse what is no pattern, in half the time that it takes to compile it.

    Only of what looks behind the compiler has something to say that the parser has not.
    """
    if _BEHIND.search(pattern):
        re.compile(pattern)
    else:
        _PARSER.parse(pattern)


def loaded(name: str) -> PatternFile:
    """Read a data file of this package."""
    return PatternFile(name, (FOLDER / name).read_text(encoding="utf-8"))


def whole_words(*patterns: str) -> re.Pattern[str]:
    """Return what finds any of some patterns where they begin and end with a word."""
    return re.compile(_whole(_alternatives(patterns)))


def _whole(pattern: str) -> str:
    return rf"(?<!\w)(?:{pattern})(?!\w)"


class AnyOf:
    """Patterns, of which only those are tried that a text has the characters for."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._each = [(needed(pattern), re.compile(pattern)) for pattern in patterns]

    def search(self, text: str) -> bool:
        """Whether any of them is found in a text."""
        return any(pattern.search(text) for pattern in self._possible(text))

    def fullmatch(self, text: str) -> re.Match[str] | None:
        """Return the match of the first that a text is as a whole."""
        return next(filter(None, (one.fullmatch(text) for one in self._possible(text))), None)

    def _possible(self, text: str) -> Iterator[re.Pattern[str]]:
        """Yield those that may match in a text, in their order."""
        for needs, pattern in self._each:
            if not needs:
                yield pattern
                continue
            for one in needs:
                if one in text:
                    yield pattern
                    break


class Phrases:
    """Patterns as ``whole_words``, of which only those are tried that can match at a place.

    Which these are the characters there tell: each pattern is filed under all that its matches can
    begin with, ``_FILED_BY`` characters or fewer.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = patterns
        self._filed = dict[str, list[int]]()
        for place, pattern in enumerate(patterns):
            for beginning in beginnings(pattern):
                self._filed.setdefault(beginning, []).append(place)
        self._compiled = dict[tuple[int, ...], re.Pattern[str]]()

    def longest(self, text: str, start: int) -> tuple[int, int] | None:
        """Return which pattern matches most of a text from there on, and where its match ends.

        The first of several; None if none matches a character.
        """
        places = self._at(text, start)
        if not places:
            return None
        if places not in self._compiled:
            self._compiled[places] = self._each(places)
        found = self._compiled[places].match(text, start)
        if found is None or found.lastindex is None:
            return None
        ends = [end for _, end in found.regs[1:]]
        end = max(ends)
        return (places[ends.index(end)], end) if end > start else None

    def possible(self, text: str) -> Collection[int]:
        """Return the patterns that may match anywhere in a text; all others do not."""
        found = set[int]()
        for begun in _WORD_MAY_BEGIN.finditer(text):
            found.update(self._at(text, begun.start()))
        return found

    def _at(self, text: str, start: int) -> tuple[int, ...]:
        """Return the patterns that may match from there on, in their order."""
        filed, found = self._filed, list[int]()
        for end in range(start, start + _FILED_BY + 1):
            if (places := filed.get(text[start:end])) is not None:
                found += places
        return tuple(sorted(set(found))) if found else ()

    def _each(self, places: Sequence[int]) -> re.Pattern[str]:
        """Compile patterns to be looked for side by side, each in a group of its own."""
        groups = (f"(?:(?=({_whole(_uncaptured(self._patterns[place]))}))|)" for place in places)
        return re.compile("".join(groups))


_PARSER = import_module("re._parser")  # Python's own; its name says that it may change
_BEHIND = re.compile(r"\(\?<[=!]")
_FILED_BY = 4
_WORD_MAY_BEGIN = re.compile(r"(?<!\w).", re.DOTALL)
_Node = tuple[Any, Any]


def beginnings(pattern: str) -> set[str]:
    """Return what a pattern's matches can begin with: four characters, or fewer with any after.

    Every match begins with one of them; not each of them begins a match.
    """
    return _beginnings(list(_PARSER.parse(pattern)), _FILED_BY)


def _beginnings(nodes: Sequence[_Node], length: int) -> set[str]:
    """Return what a sequence of a parsed pattern's nodes can begin with."""
    if not (nodes and length):
        return {""}
    (kind, value), *rest = nodes
    match str(kind):
        case "LITERAL":
            return {chr(value) + one for one in _beginnings(rest, length - 1)}
        case "IN" if all(str(one) == "LITERAL" for one, _ in value):
            after = _beginnings(rest, length - 1)
            return {chr(code) + one for _, code in value for one in after}
        case "AT" | "ASSERT" | "ASSERT_NOT":
            return _beginnings(rest, length)
        case "SUBPATTERN":
            return _beginnings([*value[-1], *rest], length)
        case "BRANCH":
            return {one for way in value[1] for one in _beginnings([*way, *rest], length)}
        case "MAX_REPEAT" | "MIN_REPEAT":
            least, most, repeated = value
            once = _beginnings([*repeated, *(rest if most == 1 else [_ANYTHING])], length)
            return once if least else once | _beginnings(rest, length)
        case _:
            return {""}


def needed(pattern: str) -> frozenset[str]:
    """Return texts of which every match of a pattern has one; none if it has a match without."""
    return frozenset(_needed(list(_PARSER.parse(pattern))))


def _needed(nodes: Sequence[_Node]) -> set[str]:
    """Return what every match of a sequence of a parsed pattern's nodes has one of."""
    found, letters = list[set[str]](), ""
    for kind, value in [*nodes, _ANYTHING]:
        if str(kind) == "LITERAL":
            letters += chr(value)
            continue
        if letters:
            found.append({letters})
            letters = ""
        match str(kind):
            case "SUBPATTERN":
                found.append(_needed(value[-1]))
            case "BRANCH":
                ways = [_needed(way) for way in value[1]]
                found.append(set[str]().union(*ways) if all(ways) else set())
            case "MAX_REPEAT" | "MIN_REPEAT" if value[0]:
                found.append(_needed(value[-1]))
            case _:
                pass
    return max(found, key=lambda one: min(map(len, one), default=0), default=set())


_ANYTHING: _Node = ("ANYTHING", None)


def _uncaptured(pattern: str) -> str:
    """Return a pattern without groups that keep what they match; brackets in sets stay."""
    return _GROUPS.sub(lambda found: found[1] or "(?:", pattern)


_GROUPS = re.compile(r"(\\.|\[\^?\]?(?:\\.|[^\]\\])*\])|\((?!\?)")


def _alternatives(patterns: Iterable[str]) -> str:
    return "|".join(f"(?:{pattern})" for pattern in patterns)
