"""What a new text says until somebody writes it; no sequence goes out with it."""

FIRST_TEXT = "Hi {{first_name|there}}, "
"""How the first text of a new sequence begins."""

BLANKS = ("[your name]", "[company]", "[phone number]", "[address]")
"""What templates leave for their user to write, exactly so; other brackets are anybody's words."""


def unwritten(body: str, *, has_media: bool = False) -> str | None:
    """Tell why a text is not written yet, going on from "the text"; None if it is.

    It is empty, still the beginning that every new sequence has, or has a blank of a template.
    """
    if not body.strip() and not has_media:
        return "is empty; write it or delete the step"
    if body.strip() == FIRST_TEXT.strip() and not has_media:
        return "still has only the greeting it began with; write it or delete the step"
    blanks = sorted((blank for blank in BLANKS if blank in body), key=body.index)
    if not blanks:
        return None
    *first, last = blanks
    if not first:
        return f"still says {last}; put your own in its place"
    return f"still says {', '.join(first)} and {last}; put your own in their place"
