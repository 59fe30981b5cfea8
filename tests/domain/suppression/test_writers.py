"""Reactions and automatic answers: told from what people write, in several languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.statuses.messaging import TextKind
from domain.suppression.keywords import read
from domain.suppression.opt_out_intent import Intent, read_intent
from domain.suppression.writers import Writer, marks_of, reaction_in, writer_of
from tests.domain.suppression.intent.corpora import MACHINES, WRITERS, rows

OURS = "Hi Deja, still looking for work? Reply STOP to opt out"
REACTIONS = (
    *("Liked {}", "Loved {}", "Laughed at {}", "Emphasized {}", "Questioned {}", "Disliked {}"),
    *(
        "Reacted \U0001f6d1 to {}",
        "Removed a heart from {}",
        "\U0001f44d to {}",
        "\u203c\ufe0f to {}",
    ),
    *("Le gust\u00f3 {}", "Me encant\u00f3 {}", "Reaccion\u00f3 con \U0001f44d a {}"),
    *("A aim\u00e9 {}", "A ador\u00e9 {}", "A r\u00e9agi avec \U0001f525 \u00e0 {}"),
    *("Hat {} mit \u201eGef\u00e4llt mir\u201c markiert", "Gostou de {}", "Ha messo Mi piace a {}"),
)
QUOTES = ("\u201c{}\u201d", '"{}"', "\u00ab {} \u00bb", "\u201e{}\u201c")
AUTO_REPLIES = (
    "I'm driving with Driving Focus turned on. I'll see your message when I get where I'm going.",
    "I'm not receiving notifications. If this is urgent, reply \u201curgent\u201d.",
    "Auto-reply: in class until 3",
    "This is an automated response. This number is not monitored.",
    "I am out of the office until July 22. For emergencies text Marisol.",
    "Thanks for contacting Lou's Towing! We will reply shortly. Reply STOP to opt out.",
    "AT&T Free Msg: The wireless number you texted cannot receive this type of message.",
    "Error 30005: unknown destination handset",
    "Invalid response. Please reply 1 to confirm, 2 to cancel.",
    "Respuesta autom\u00e1tica: Estoy manejando.",
)
CLEAR_REQUESTS = ("Please do not text this number.", "Remove this number from your list.", "STOP.")
REQUESTS = (
    "Stop texting me",
    "take me off your list",
    "wrong number, remove me",
    "STOP",
    "Please stop",
)
PEOPLE = (
    *("Liked your offer!", "I loved it", "Thanks for texting, please stop", "I'm driving, stop"),
    *("is this an automated response?", "Loved \u201cSee you at 3\u201d so please stop texting me"),
    *("I'm on vacation, stop texting me", "to \u201cSTOP\u201d", "your auto reply is annoying", ""),
    *("I'm out of the office, can we talk Monday?", "STOP", "\U0001f44d"),
)


@pytest.mark.parametrize("reaction", REACTIONS)
@pytest.mark.parametrize("quotes", QUOTES)
def test_reaction_to_stop_opts_nobody_out_and_needs_no_review(reaction: str, quotes: str) -> None:
    body = reaction.format(quotes.format(OURS))
    assert writer_of(body) is Writer.REACTION
    assert read(body).intent is None
    assert read(body).keyword is None


@pytest.mark.parametrize("thing", ["an image", "a movie", "a voice message", "an attachment"])
def test_reaction_to_a_picture_is_recognized(thing: str) -> None:
    assert writer_of(f"Loved {thing}") is Writer.REACTION


@pytest.mark.parametrize("body", AUTO_REPLIES)
def test_auto_reply_has_no_intent(body: str) -> None:
    assert writer_of(body) is Writer.AUTO_REPLY
    assert read_intent(body) is None


@pytest.mark.parametrize("body", PEOPLE)
def test_text_that_resembles_an_auto_reply_is_human(body: str) -> None:
    assert writer_of(body) in {Writer.HUMAN, Writer.UNCLEAR}


def test_clear_request_in_an_auto_reply_is_for_review() -> None:
    assert read_intent("Auto-reply: I am retired. Please stop texting me.") is Intent.UNSURE


def test_human_training_texts_are_no_reactions_or_auto_replies() -> None:
    labeled = [row for paths in WRITERS.values() for path in paths for row in rows(path)]
    people = [body for label, body in labeled if label not in {"reaction", "auto_reply"}]
    persons = {Writer.HUMAN, Writer.IMPERSONAL, Writer.UNCLEAR}
    assert [body for body in people if writer_of(body) not in persons] == []


@pytest.mark.parametrize(
    "body",
    [
        *("This number is not in use. Please remove it.", "You have no more messages. Goodbye."),
        *("Carrier: do not text", "[bot] stop texting me", "Reply STOP to stop. Stop texting me"),
        *("\u00bbStop texting me\u00ab", "'Stop texting me' got a heart", "> Stop texting me"),
        *("Diese Nummer ist nicht vergeben", "Este n\u00famero no recibe mensajes. B\u00f3rrelo."),
    ],
)
def test_text_with_a_mark_of_a_machine_opts_nobody_out(body: str) -> None:
    assert writer_of(body) is not Writer.HUMAN
    assert read_intent(body) is not Intent.OPT_OUT


@pytest.mark.parametrize(
    "body", ["Please remove this number from your list", "I moved. Take me off.", "stop. now. ok?"]
)
def test_text_without_such_a_mark_is_human(body: str) -> None:
    assert writer_of(body) is Writer.HUMAN


def test_labeled_machine_texts_opt_nobody_out() -> None:
    """Of all the machines' texts that are labeled."""
    files = [path for paths in WRITERS.values() for path in paths]
    known = [row for path in [*files, MACHINES] for row in rows(path)]
    machines = [body for label, body in known if label in {"reaction", "auto_reply"}]
    assert len(machines) > 900
    readings = {body: read(body) for body in machines}
    assert [body for body, one in readings.items() if one.intent is Intent.OPT_OUT] == []
    assert [body for body, one in readings.items() if one.keyword is not None] == []


@pytest.mark.parametrize("asked", CLEAR_REQUESTS)
def test_auto_reply_with_a_clear_request_beside_it_opts_nobody_out(asked: str) -> None:
    known = [row for paths in WRITERS.values() for path in paths for row in rows(path)]
    answers = [body for label, body in known if label == "auto_reply"]
    both = [text for one in answers for text in (f"{one} {asked}", f"{asked} {one}")]
    assert [body for body in both if read_intent(body, lambda _: 1.0) is Intent.OPT_OUT] == []


@given(
    st.text(alphabet=st.characters(categories=["L", "Zs", "So"]), max_size=30),
    st.sampled_from([*QUOTES, "\u00bb{}\u00ab", "\u300c{}\u300d", " \u2018{}\u2019", " '{}'"]),
    st.sampled_from(REQUESTS),
    st.text(max_size=10),
)
def test_quoted_request_opts_nobody_out(before: str, quotes: str, asked: str, after: str) -> None:
    assert read_intent(f"{before}{quotes.format(asked)}{after}") is not Intent.OPT_OUT


@pytest.mark.parametrize("keyword", ["STOP", "Yes", "help", "End?"])
@pytest.mark.parametrize("reaction", ["\U0001f44d to {}", "\u203c\ufe0f to {}", "Loved {}"])
def test_reaction_to_a_keyword_is_no_keyword(reaction: str, keyword: str) -> None:
    assert read(reaction.format(f"\u201c{keyword}\u201d")).keyword is None


@pytest.mark.parametrize(
    ("body", "ours", "is_ours"),
    [
        ("Liked \u201cWe\u2019ll  call\nyou\u201d", "We'll call you", True),
        ('Liked "Hi Ann, are you still..."', "Hi Ann, are you still looking for work?", True),
        ('Liked "Hi Ann, are you still', "Hi Ann, are you still looking for work?", True),
        ('Liked "Hi..."', "Hi Ann, are you still looking for work?", False),
        ('Liked "Sent from your Twilio trial account - Hi Ann, free?"', "Hi Ann, free?", True),
        ('Liked "See you"', "See you at five", False),
        ('Liked "\U0001f44d"', "\U0001f44d", True),
        ('Liked "..."', "Hi Ann", False),
        ("Liked an image", "Hi Ann", False),
    ],
)
def test_reaction_is_about_the_text_it_quotes(body: str, ours: str, *, is_ours: bool) -> None:
    reaction = reaction_in(body)
    assert reaction is not None
    assert reaction.is_about(ours) is is_ours


@pytest.mark.parametrize(
    ("bodies", "marks"),
    [
        (['Liked "Hi"', 'Laughed at "Hi"'], "\U0001f44d\U0001f602"),
        (['Loved "Hi"', 'Liked "Hi"', 'Removed a heart from "Hi"'], "\U0001f44d"),
        (['Reacted \U0001f525 to "Hi"', 'Removed \U0001f525 from "Hi"'], ""),
        (['Removed a like from "Hi"'], ""),
        (["Le gust\u00f3 \u00abHi\u00bb"], "\U0001f44d"),
        (["Hat \u201eHi\u201c mit \u201eGef\u00e4llt mir\u201c markiert"], "\U0001f44d"),
    ],
)
def test_marks_are_those_that_were_not_taken_back(bodies: list[str], marks: str) -> None:
    read_ones = [one for body in bodies if (one := reaction_in(body)) is not None]
    assert len(read_ones) == len(bodies)
    assert "".join(marks_of(read_ones)) == marks


@given(st.text(max_size=200))
def test_no_text_breaks_it(body: str) -> None:
    assert writer_of(body) in Writer


ASKING_OR_ANSWERING = (
    "I'm out of the office till Tuesday, please stop contacting me",
    "I'm driving right now and I can't reply. Stop texting me!!",
    "This is an automated message and I never signed up. Stop texting me",
    "We got your text. Stop texting us.",
    "Auto reply: STOP",
    "Yes I'm interested! I'm out of the office until Monday, can you call me then?",
    "OOO until Friday but yes let's talk Monday",
    "I'm driving right now so I'll call you in 10",
    "Hola, estoy fuera de la oficina pero me interesa mucho",
    "We got your text and we want the job, call us",
    "Really loved the video",
    "My wife loved the photo",
    "My boss questioned your message",
    '?? "Are you free Tuesday at 3pm for a quick call?"',
)


@pytest.mark.parametrize("body", ASKING_OR_ANSWERING)
def test_person_who_asks_or_answers_is_no_machine(body: str) -> None:
    reading = read(body)
    assert reading.kind is TextKind.HUMAN
    assert reading.may_be_reply


@pytest.mark.parametrize("body", ASKING_OR_ANSWERING[:4])
def test_request_among_words_of_a_machine_is_for_a_person_to_read(body: str) -> None:
    assert read(body).intent is Intent.UNSURE
