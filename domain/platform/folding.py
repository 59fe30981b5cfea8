"""Texts without what makes no difference to a reader."""

import unicodedata


def folded(body: str) -> str:
    """Drop what makes no difference: case, accents, compatibility forms, the invisible.

    As the Unicode Standard matches identifiers caselessly (D147), marks and format characters left
    out; folding it again changes nothing.
    """
    text = body
    for _ in range(2):
        text = unicodedata.normalize("NFKD", text).casefold()
    text = unicodedata.normalize("NFKD", text)
    return "".join(char for char in text if not _is_dropped(char))


def _is_dropped(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] == "M" or category in {"Cf", "Cs"}
