"""What a text consists of, as ``opt_out_model`` weighs it: runs of words and of letters."""

import re

from domain.platform.folding import folded

LONGEST_WORDS = 3
LETTERS = range(2, 6)

_TOKEN = re.compile(r"\w+|[^\w\s]")
_APOSTROPHE = re.compile("(?<=\\w)['\u2019\u2018`\u00b4](?=\\w)")
_DRAWN_OUT = re.compile(r"(\w)\1{2,}")
_SKIN_TONE = re.compile("[\U0001f3fb-\U0001f3ff]")


def ngrams(body: str) -> set[str]:
    """Return the runs of one to three words and of two to five letters in a text.

    A run of words begins with ``w:``, its words are parted by blanks, and ``^`` and ``$`` stand for
    the ends of the text. A run of letters begins with ``c:`` and may reach over blanks. Case,
    accents, apostrophes and skin tones make no difference, every digit is a zero, a letter repeated
    three times or more stands twice. Each punctuation mark and emoji is a word.
    """
    words = _tokens(body)
    bounded = ["^", *words, "$"]
    letters = f" {' '.join(words)} "
    found = {
        f"w:{' '.join(bounded[start : start + length])}"
        for length in range(1, LONGEST_WORDS + 1)
        for start in range(len(bounded) - length + 1)
    }
    found.update(
        f"c:{letters[start : start + length]}"
        for length in LETTERS
        for start in range(len(letters) - length + 1)
    )
    return found


def _tokens(body: str) -> list[str]:
    text = _SKIN_TONE.sub("", _APOSTROPHE.sub("", folded(body)))
    text = _DRAWN_OUT.sub(r"\1\1", text)
    return _TOKEN.findall(re.sub(r"\d", "0", text))
