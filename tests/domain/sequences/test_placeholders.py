"""Which texts are not written yet."""

import pytest

from domain.sequences.placeholders import BLANKS, FIRST_TEXT, unwritten


@pytest.mark.parametrize("body", ["", "  \n", FIRST_TEXT, FIRST_TEXT.strip(), f"\n{FIRST_TEXT}"])
def test_empty_text_and_mere_greeting_are_unwritten(body: str) -> None:
    assert unwritten(body)
    assert unwritten(body, has_media=True) is None


@pytest.mark.parametrize("blank", BLANKS)
def test_blank_of_a_template_is_named(blank: str) -> None:
    assert blank in str(unwritten(f"Hi, it is {blank} here", has_media=True))


def test_all_blanks_of_a_text_are_named_in_its_order() -> None:
    said = unwritten("Call [phone number]. [your name], [company], or [your name]")
    assert said == (
        "still says [phone number], [your name] and [company]; put your own in their place"
    )


@pytest.mark.parametrize(
    "body", ["Hi {{first_name|there}}", f"{FIRST_TEXT}are you free?", "[Acme] Your code", "[Name]"]
)
def test_own_words_are_written(body: str) -> None:
    assert unwritten(body) is None
