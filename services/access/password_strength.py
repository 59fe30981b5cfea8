"""Refusing new passwords that could be guessed."""

import re
from collections.abc import Iterable, Iterator, Sequence
from threading import Lock

from zxcvbn import zxcvbn

from domain.platform.errors import InvalidFieldError

_GUESSES = 10**10
"""Fewest guesses a password must withstand: zxcvbn's highest score. It tries leaked and common
passwords, words, names, dates, keyboard runs and their usual disguises first."""

_READ = 24
"""How many characters are judged. More only add guesses and cost: 24 characters chosen to keep
zxcvbn busy take under a second, 40 several."""

_WORD = 3  # characters; shorter parts of a name mean nothing
_REMEDY = "use several unrelated words, or let a password manager make one"

_estimating = Lock()  # zxcvbn keeps a call's words in a global


def require_strong(password: str, *, field: str, personal: Iterable[str]) -> None:
    """Refuse a password that somebody could guess. Takes milliseconds of processor time.

    Words of ``personal``, what others know of its owner, do not count: email address, name,
    workspace.

    Raises:
        InvalidFieldError: ``invalid_password``.
    """
    words = sorted(set(_words(personal)), key=len, reverse=True)
    rest = _without(password, words)
    if _repeats(password):
        weakness = "repeats one letter or word"
    elif _guesses(rest, words) >= _GUESSES:
        return
    elif rest != password or _guesses(rest, ()) >= _GUESSES:
        weakness = "is too close to the user's name, email address or workspace"
    else:
        weakness = "is a common or breached password, or as easy to guess as one"
    raise InvalidFieldError(field, f"{weakness}; {_REMEDY}", code="invalid_password")


def _repeats(password: str) -> bool:
    """Tell whether it is one part repeated, whatever is between."""
    letters = "".join(filter(str.isalnum, password.casefold())) or password
    # A text that repeats a part occurs in its own double before its end.
    return (letters + letters).find(letters, 1) < len(letters)


def _guesses(password: str, known: Iterable[str]) -> float:
    """Estimate how many guesses find a password; known words are guessed early, disguised too."""
    # zxcvbn fails on line breaks; what is not printable does not count.
    read = "".join(filter(str.isprintable, password))[:_READ]
    if not read:
        return 0
    with _estimating:
        return float(zxcvbn(read, user_inputs=known)["guesses"])


def _without(password: str, words: Sequence[str]) -> str:
    if not words:
        return password
    return re.sub("|".join(map(re.escape, words)), "", password, flags=re.IGNORECASE)


def _words(personal: Iterable[str]) -> Iterator[str]:
    """Yield the texts and their words."""
    for text in personal:
        for word in (text, *re.split(r"[\W_]+", text)):
            if len(word) >= _WORD:
                yield word
