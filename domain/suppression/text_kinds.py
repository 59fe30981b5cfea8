"""Who wrote an inbound text: a person, or a phone on its own.

A phone that cannot show a tapback (Apple Messages) or a reaction (Google Messages) gets it as a
text that quotes the one reacted to, so its words are ours, "Reply STOP" included. Phones and desks
that are set to answer by themselves say so. The patterns are data, over a folded text
(``domain.platform.folding``); what fits none of them is taken for a person's.
"""

import re
from enum import StrEnum

from domain.platform.folding import folded
from domain.suppression.machine_marks import DOES, LINE, MARKS


class TextKind(StrEnum):
    """Who wrote a text.

    ``human``: a person. ``unclear``: a person, unless a machine. ``reaction``: a phone, for a
    reaction to a text of ours. ``auto_reply``: a phone or a desk that answers by itself, or a
    carrier.
    """

    HUMAN = "human"
    UNCLEAR = "unclear"
    REACTION = "reaction"
    AUTO_REPLY = "auto_reply"


_QUOTED = (
    "([\"\u201c\u201e\u201d\u00ab\u2039'\u2018\u300c\u300e].*"
    "[\"\u201d\u201c\u00bb\u203a'\u2019\u300d\u300f]"
    '|["\u201c\u201e\u00ab\u2018\u300c][^"\u201c\u201d\u00bb\u2019\u300d]*)'
)
"""A quoted text; it may hold quotation marks and line breaks of its own, or be cut off."""

_EMOJI = r"[^\w\s\"'\u201c\u201d\u00ab\u00bb]{1,12}"

_THING = (
    "(an?|the|your|un|una|une|eine?n?|uma?) (image|photo|picture|movie|video|gif|attachment"
    "|contact card|link|location|(voice |audio )?message|sticker|file|document|imagen|foto"
    "|mensaje|archivo|video|adjunto|photo|piece jointe|bild|nachricht|anhang|imagem|mensagem"
    "|immagine|messaggio)"
)

_REACTIONS: tuple[str, ...] = (
    # English: iOS, also with the emoji of iOS 18 and later; Google Messages.
    (
        "removed (an?|the) (heart|like|dislike|laugh|exclamation|question mark"
        "|\\w+ reaction) from <it>"
    ),
    "(reacted|reagierte) (with )?(an? )?(<emoji>|sticker)( reaction)? (to|with|from) <it>",
    "removed (an? |the )?<emoji>( reaction)? from <it>",
    "<emoji> ?(to|a|an|auf|su|em|para|pour|:)? ?<it>",
    (
        "(?!(i|we) )(\\w+ ){0,2}(liked|loved|disliked|laughed at|emphasi[sz]ed|questioned"
        "|reacted to) <it>( with (an? )?(<emoji>|\\w+))?"
    ),
    "reacted ((with )?<emoji> )?to <it>( with <emoji>)?|(removed|reacted) <emoji>( from| to)? <it>",
    # Spanish.
    (
        "(\\w+ )*(le|me) (gusto|gusta|encanto|encanta|dio risa|disgusto|hizo reir|dio importancia a"
        "|hizo gracia) <it>"
    ),
    "a (\\w+ ){1,3}(le (gusto|gusta|encanto|encanta|dio risa)) <it>",
    (
        "(no le (gusto|gusta)|se (rio|ha reido) (de|con)|(enfatizo|destaco|recalco|cuestiono"
        "|exclamo)"
        "( en| por)?|hizo enfasis en|pregunto (por|sobre)|(ha )?(puesto|reaccionado|reacciono) "
        "(con )?(un )?(<emoji>|me gusta|me encanta) (a|en)) <it>"
    ),
    "(elimino|quito|ha (eliminado|quitado)) .{1,30} (de|en|a) <it>",
    # French.
    (
        "(\\w+ )?(a|na pas|n a pas|n.a pas) (aime|adore|deteste|ri (a|de)|souligne|accentue"
        "|mis en (avant|evidence)|questionne|reagi (par|avec) <emoji> a|mis <emoji> a) <it>"
    ),
    "a (supprime|retire) .{1,30} (de|a|sur) <it>",
    # German.
    (
        "hat <it> (mit .{1,30} (markiert|bewertet|kommentiert)|geliebt|hervorgehoben|betont"
        "|infrage gestellt|in frage gestellt)"
    ),
    "(gefallt|liebt|lacht uber|betont|bezweifelt) <it>( nicht)?",
    "hat (mit )?<emoji> auf <it> reagiert|hat .{1,30} (von|aus|bei) <it> entfernt",
    # Portuguese and Italian.
    (
        "(gostou de|nao gostou de|curtiu|amou|adorou|riu (de|para)|enfatizou|questionou|reagiu com"
        " (um )?<emoji> (a|em|para)|removeu .{1,30} (de|em)) <it>"
    ),
    (
        "(ha messo ((non )?mi piace|<emoji>) a|(ha|e) (adorato|amato|riso (di|per)|evidenziato"
        "|enfatizzato|messo in dubbio|reagito (con|a) <emoji> (a|su))|ha rimosso .{1,30} (da"
        "|a)) <it>"
    ),
    # Other languages.
    (
        "(reaccion\\w+|reagi\\w*|ha reagito|reageerde|zareagowal\\w*|reaktion|реакция|nag react"
        "|added|put|a ajoute)\\W{1,3}((with|con|com|par|met|na|ng|an?|un)\\W{1,2})?(<emoji>|\\w+)"
        " (to|on|a|em|op|na|sa|auf|no|em)? ?<it>"
    ),
    "(vindt|vond) <it> (niet )?(leuk|geweldig|grappig)|gillade( inte)? <it>|(pa )?renmen <it>",
    "(nie )?(podoba sie|polubion\\w+) <it>|(не )?(понравилось|нравится):? <it>",
    "(da )?(khong )?(thich|yeu thich) <it>|(nagustuhan|ayaw)( ni \\w+)? ang <it>",
    "(gefallt|missfallt|gefiel)( nicht)?:? <it>|(non e|e) piaciuto <it>|nao curtiu <it>",
    "(le disgusto|indico que no le gusta) <it>|<it> mesaj\\w+ (begendi|begenmedi)|لم يعجبه <it>",
    # Chinese, Japanese and Korean.
    "(喜欢了?|喜爱了?|赞了?|不喜欢了?|大笑了?|强调了?|质疑了?) ?<it>",
    "<it>에 .{1,6}반응.{0,12}|[对對] ?<it> ?(做出|作出|回应|回應|点|點|添加).{1,12}",
    "<it> ?(に|を|に対して)(<emoji>|いいね|ハート|大好き|強調|爆笑).{0,14}",
)
"""What phones write for a reaction, whole texts: ``<it>`` is the text or thing reacted to."""

_AUTO_REPLIES: tuple[str, ...] = (
    # It says so: at its beginning, at its end, or as a sentence of its own.
    (
        "^\\W*(auto(mat(ic|ed))?|respuesta|mensaje|reponse|resposta|mensagem|risposta)[- ]?(reply"
        "|respon[sd]e?r?|response|message|msg|text|answer|automatic[ao]|automatique|automatica)"
        "\\W*[:\\]\\)-]"
    ),
    (
        "^\\W*(automati\\w+ (antwort|reply|response)|autoreply|auto[- ]?respon(se|der)"
        "|\\[auto(mated)?\\]"
        "|abwesenheitsnotiz|reponse automatique|ooo\\b)"
    ),
    (
        "(^|[.!?\\n] ?|[-\u2013\u2014(] ?)this is an? (auto(mat(ed|ic))?[- ]?(reply|response"
        "|message|msg|text)"
        "|autoresponder|auto[- ]?responder)\\b(?!\\?)"
    ),
    (
        "[(\\[*] ?((sent )?auto(matically)?|auto(mat(ic|ed))?[- ]?(reply|response|message|msg))"
        " ?[)\\]*]\\W*$"
    ),
    "sent (automatically|by android auto|from (my )?(car|ford sync|toyota|honda|gm)\\b)",
    # Driving and focus modes.
    (
        "driving focus|do not disturb while driving( is)? (on|enabled|turned)|im not receiving"
        " notifications|notifications (are )?silenced|(is|are) in downtime until"
        "|screen time limit reached|has notifications silenced"
    ),
    "\\bsee your message when i (get|arrive)|\\b(vere|leere) (tu|su) mensaje (cuando|mas tarde)",
    # Out of office, with the words of the notice.
    (
        "(i am|im|i will be|ill be|currently) (out of (the )?office\\b.{0,160}(return|back on"
        "|until|through|limited access|contact|emergenc|will (reply|respond))|on (vacation"
        "|annual leave"
        "|maternity leave|paternity leave|parental leave|pto|sabbatical)\\b.{0,160}(limited access"
        "|please contact|emergenc|automatic reply|upon my return))"
    ),
    "^\\W*out of (the )?office\\b.{0,80}(back|until|return|contact|emergenc)",
    "estoy fuera de la oficina",
    # Desks that answer.
    (
        "^\\W*((hi|hello|hey|hey there|hi there)\\W+)?(thanks|thank you|thx) for (contacting"
        "|texting"
        "|messaging|your (text|message|call)|the txt|calling|reaching out to) .{0,200}(we (will"
        "|got|have"
        "|are (currently )?(closed|away|out)|respond|answer|check)|well (get|be|respond|reply)"
        "|were closed|someone (will|from)|our (office|team|hours)|shortly|business hours|shop hours"
        "|automated|msg (and|&) data|messages? (are|is) (answered|monitored)|i check texts)"
    ),
    "^\\W*(your (message|text) has been received|we (have )?(received|got) your (text|message)\\b)",
    (
        "(inbox|mailbox|number|line|account) (that )?(is|are) (not|no longer) (actively )?monitored"
        "|is an unmonitored|\\bauto[- ]?reply from\\b"
    ),
    "(number|line|inbox) is (used )?(only )?for (outbound|outgoing|alerts|notices|calls) ",
    "(incoming texts|(texts|replies) to this \\w+|replies) are not (read|reviewed|monitored)",
    "\\bautomated assistant\\b.{0,120}(reply|state|leave)|^\\W*robokiller:",
    (
        "^\\W*((hi|hello)\\W+)?youve reached (?!the wrong|a wrong|my |an? old).{0,80}(office|clinic"
        "|line|voicemail|desk|service|support)\\b.{0,80}\\b(closed|hours|texts|leave|call|reply)"
    ),
    "^\\W*gracias por (su|tu) mensaje\\W+(le|te) (responderemos|contestaremos)",
    (
        "we do not answer texts|we cant read replies|youve (reached|texted) the automated line"
        "|\\bour office is (currently )?closed"
    ),
    # Automatic menus.
    (
        "^\\W*(invalid|unrecognized|unknown) (response|reply|keyword|option|command)|we did(nt"
        "| not)"
        " understand your (response|reply|message)|^\\W*reply (1|y) (to|for) "
    ),
    "text club\\W+reply|msgs? ?(/|per) ?mo(nth)?\\b",
    # Carriers.
    "^\\W*((at&t|t-mobile|vzw|verizon|sprint)\\W+)?free ?msg\\b",
    "message failed:|^\\W*error \\d{3,5}\\b|^unable to send message|message blocking is active",
    (
        "(this|the) (phone |wireless )?number( you (have )?(texted|dialed"
        "|are texting))? (does not|doesnt"
        "|cannot|cant|is not able to|is unable to) (receive|accept|get) (incoming )?(text|sms"
        "|messages?"
        "|this type)"
    ),
    (
        "(message|text|sms|msg)( \\w+){0,5} (could not|couldnt|cannot) be delivered"
        "|text not sent\\W*$|your text was not"
        " delivered|msg not delivered|text[- ]to[- ]landline not enabled"
    ),
    (
        "(person|subscriber|customer|user) you(re| are| have)?( trying to)? (text|reach|dial"
        "|call)\\w*"
        ".{0,40}(not accepting|not in service|restricted|not available|unavailable)"
    ),
    "(person|number) you (have )?(texted|are texting) (has not|hasnt) set up (text|messaging)",
    "(customer|subscriber) has (text )?(messaging|texting) (disabled|turned off|blocked)",
    "number is no longer in service for texts?\\b|is a landline and (can|do)",
    "^\\W*message not (sent|delivered)\\b|este numero no recibe mensajes",
)
"""What only phones, desks and carriers write, anywhere in a text; a conservative list."""

_PERSONAL = (
    (
        r"\b(i|im|ive|id|ill|me|my|mine|myself|imma|ima|lemme|gimme|u|ur|yall|pls|plz|thx|ty|bro|bruh"
        r"|dude|wtf|stfu|tf|ffs|omg|fuck\w*|shit\w*|damn\w*|ass|hell|yo|m|mi|mis|soy|conmigo|je|jai"
        r"|moi|mon|ma|mes|ich|mich|mir|mein\w*|eu|meu|minha|mim|io|mio|mia|mij|mijn|ik|ako|ko|akin|toi"
        r"|mwen|mnie|moj\w*|\w+rme|\w+enme|\w+eme"
        r"|(take|remove|leave|get|unsubscribe|texting|send|sending|bother|bothering|contacting|delete"
        r"|drop|messaging) us"
        r"|wrong (guy|lady|dude|chick|person|party|number)"
        r"|not (looking|selling|interested|hiring|buying))\b"
    ),
    r"я|мне|меня|мой|我|나는|저는|私",
)
"""A person's words: for oneself, of chats, of anger, of being the wrong one."""


def kind_of(body: str) -> TextKind:
    """Say who wrote a text.

    It is unclear if the text bears a mark of a machine (``machine_marks``), quotes
    something, or has several sentences without a trace of a person: no word for oneself, no word of
    chats, a capital letter at the beginning.
    """
    text = " ".join(re.sub("(?<=\\w)['\u2019\u2018`](?=\\w)", "", folded(body)).split())
    if _REACTION.fullmatch(text):
        return TextKind.REACTION
    if _AUTO_REPLY.search(text):
        return TextKind.AUTO_REPLY
    if _MARK.search(text) or _QUOTE.search(text):
        return TextKind.UNCLEAR
    several = len(_SENTENCES.findall(text)) > 1
    impersonal = not (body[:1].islower() or _PERSON.search(text))
    return TextKind.UNCLEAR if several and impersonal else TextKind.HUMAN


def _compiled(alternatives: tuple[str, ...]) -> re.Pattern[str]:
    joined = "|".join(f"(?:{one})" for one in alternatives)
    for name, meant in _NAMES.items():
        joined = joined.replace(f"<{name}>", f"(?:{meant})")
    return re.compile(re.sub(r"[^\x00-\x7f]+", lambda found: folded(found[0]), joined))


_NAMES = {"it": f"{_QUOTED}|{_THING}", "emoji": _EMOJI, "line": LINE, "does": DOES}
_QUOTE = re.compile(
    '["\u201c-\u201f\u00ab\u00bb\u2039\u203a\u2033\u300a-\u300f]'
    r"|(?<!\S)['\u2018\u201a`](?=\w)(?!(?:til|till|cause|cuz|em|bout|nuff|round|n|tis|twas|\d+s?)\b)"
)
_SENTENCES = re.compile(r"\w[^.!?\u3002\u0964\u061f]*")
_REACTION = _compiled(_REACTIONS)
_AUTO_REPLY = _compiled(_AUTO_REPLIES)
_MARK = _compiled(MARKS)
_PERSON = _compiled(_PERSONAL)
