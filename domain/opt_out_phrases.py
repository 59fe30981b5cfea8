"""The phrases by which people ask for no more texts: reviewed data for ``domain.opt_out_wishes``.

Sources: 47 CFR 64.1200(a)(10) (in force since 2025-04-11) has consent revoked by "any reasonable
means": a text that is none of its keywords counts if a reasonable person would understand it as a
request to stop. CTIA's Messaging Principles and Best Practices (May 2023, 5.1.3) ask senders to
heed ordinary language such as "stop texting me". The rest is our own judgement of American English;
tests/domain/wishes holds what it is measured on.

Phrases are regular expressions over words in small letters, without accents and apostrophes and
after SPELLINGS; ``(...)`` only groups, ``<name>`` stands for one of WORDS.
"""

from collections.abc import Mapping
from types import MappingProxyType

SPELLINGS: Mapping[str, str] = MappingProxyType(
    {
        # Short forms.
        "pls|plz|plse|pleas|plese|pleese|plzz|pleaze|plea[sz]s?e|kindly": "please",
        "u": "you",
        "ur|yer": "your",
        "r": "are",
        "n|nd": "and",
        "w|wit": "with",
        "mee": "me",
        "txt": "text",
        "msg|mesage|messge": "message",
        "txts|smses|msgs": "texts",
        "thx|ty|tysm|thanx|thank (you|u)|thanku|tks|tyvm": "thanks",
        "rn": "right now",
        "bc|cuz|cause|coz|b c": "because",
        "gonna": "going to",
        "gotta": "got to",
        "#": "number",
        # Several words that mean one.
        "yall|you (all|guys|people|folks)": "you",
        "do not|dnt|dun|donot|dont you": "dont",
        "did not|didint|dident": "didnt",
        "i am|i m|iam": "im",
        "i would": "id",
        "i have|iv": "ive",
        "you are": "youre",
        "you have": "youve",
        "is not": "isnt",
        "can not|cannot": "cant",
        "opt(ing)? (me |us )?out|optout|op out|opt ou": "optout",
        "(text|sms) (messages|msgs)|texts?messages": "texts",
        "(text|sms) message": "text",
        "(cell |cellphone |phone |mobile )?(num|nbr|nmbr|numbr|numer|numbet|numbe"
        "|number)": "number",
        "my (phone|cell|cell phone|cellphone|mobile|digits|line)": "my number",
        # Slips of the thumb.
        "stopp|sotp|stpo|stp|sstop|tsop|stopo|stopm|stahp|dtop": "stop",
        "un ?su[bs]?[bsc]+r?i[bp]e?|unsubcribe|unsubscrib|unsubscrie|unsubscrbe|unsubsrcibe": (
            "unsubscribe"
        ),
        "txting|texing|textin|txtin|texitng|texring|texxting|textng|tetxing|textign|textinf"
        "|textig|texying": "texting",
        "msging|messagin|messging|mesaging": "messaging",
        "contacing|contactin|contcting": "contacting",
        "anymor|any more|nomore": "anymore",
        "agian|agin|agn": "again",
        "rong|worng|wrng|wrog": "wrong",
        "remov|remve|rmove|remoev|ermove": "remove",
        "lsit|lists": "list",
    }
)
"""What is replaced before phrases are looked for: a pattern of whole words, and its replacement."""

WORDS: Mapping[str, str] = MappingProxyType(
    {
        "me": "(me|us|my number|this number|this line|this phone|our number)",
        "text": "(text|message|contact|write|msg|spam|bother|bug|harass|call (and|or) text"
        "|text (and|or) call|call text|text call|text (and|or) email|contact or text)",
        "texting": "(texting|messaging|contacting|spamming|bothering|bugging|harassing|pestering"
        "|calling (and|or) texting|texting (and|or) calling|calling texting|texting calling"
        "|texting (and|or) emailing|blowing up|texting and messaging)",
        "texts": "(texts?|messages?|spam|text spam|communications?|correspondence|solicitations?"
        "|marketing|promos?|promotions|alerts|updates|notifications|stuff|crap|shit|bs"
        "|job offers|offers|text blasts?)",
        "sms": "(texts?|messages?|texting|messaging|spam|text spam|solicitations?)",
        "which": "(these|this|those|that|your|any|all|all your|all these|all of these"
        "|any of these|any of your|all of your|so many|the|more|anymore|stupid|damn|fucking|dumb"
        "|annoying|automated|unwanted|spam|random|further|future|marketing|recruiting|promotional"
        "|such|of)",
        "list": "(list|system|database|records|contacts?|directory|files?|mailing list|text list"
        "|texting list|sms list|contact list|call list|calling list|phone list|marketing list"
        "|mail list|messaging list|distribution list|text thread|group text|campaign|rolodex"
        "|text chain|marketing|texts)",
        "ever": "(again|anymore|ever again|any further|further|any longer|ever|no more|at all"
        "|in the future|going forward)",
        "want": "(want|wanna|want to|wish|wish to|care to|need|would like|like|need to)",
        "get": "(get|receive|be getting|be receiving|keep getting|hear|be sent|see|have)",
    }
)
"""What stands for ``<name>`` in a phrase."""

WISHES: tuple[str, ...] = (
    # Stop texting me.
    "(stop|quit|cease|discontinue) (with )?<texting>( <me>)?",
    "(stop|quit|cease|discontinue) sending( <me>)?( <which>)* <texts>( to <me>)?",
    "(stop|cease|discontinue|end)( with)?( <which>)+ <texts>",
    "(stop|cease) (texts|all texts|all contact|all communication|contact|communication)",
    "(stop|quit) sending( <me>)? (these|this|those)( <ever>)?",
    "(stop|quit) (hitting|blowing) <me>( up)?",
    "stop all <texts>( to <me>)?",
    "stop contact(ing)?( with)? <me>",
    # Don't text me.
    "(dont|never) (ever )?<text> (to )?<me>( <ever>)?",
    "(dont|never) (ever )?(text|message|contact|call or text|text or call)( <ever>)?",
    "(dont|never) (ever )?(send|text|message)( <me>)?( <which>)* <texts>( to <me>)?( <ever>)?",
    "(dont|never) (ever )?send <me> (anything|texts)( else)?( <ever>)?",
    "(youre|you are) not to (text|contact|message) me( <ever>)?",
    # Off your list.
    (
        "(take|taking|remove|removing|delete|drop|scratch|strike|get|pull|cross|erase) (<me>"
        "|my name|my info"
        "|my information|my contact info|my contact information|my details|this) "
        "(off|off of|from|out of|from off|of) (your|this|all|any of your|any|all your|all of your) "
        "((text|texting|sms|calling|mailing|marketing|messaging|contact) )?<list>"
    ),
    (
        "(take|remove|delete|drop|scratch|strike|get|pull|cross|erase) (<me>|my name|my info) "
        "(off|off of|from|out of) the (text|texting|sms|mailing|marketing|messaging|contact|spam"
        "|distribution|calling|call|phone) list"
    ),
    "(take|remove) (<me>|my name) (off|from) (these|this|all|those)( <which>)* <texts>",
    (
        "(remove|delete|erase|lose|trash|forget|scrub|take off) (this number|my (number|info"
        "|information|contact info|contact|contact information|details))"
        "( from your (system|list|database|records|files|number|contacts))?"
    ),
    "take (my|this) number off( your list)?",
    "remove (me|us)( <list>)?",
    (
        "(put|add|place) (<me>|my name) (on|to) (your|the) (do not|dont|no) (call|contact|text)"
        "( or (call|text))?( list)?"
    ),
    # Leave me.
    "leave (me|us) (the (fuck|hell|heck) )?alone",
    "lose (my|this) number",
    # Wrong number.
    (
        "(sorry )?((i think |i believe |looks like |seems like |pretty sure )?(youve|you"
        "|this is|its|you"
        " must have|that is|thats|you must)( got| have| are texting| texting| text| reached"
        "| dialed)?"
        " |(youre|your) (texting|messaging|contacting) |have |got |texting )?(the |a |an )?wrong "
        "(number|#|no)"
    ),
    "(the |a )?wrong (number|#)",
    # Unsubscribe.
    (
        "(im |ill |id |i )?(<want> |requesting to |asking to |choosing to |going to |here to )?"
        "(to )?(unsubscribe|optout)( (me|us|my number|this number|now))?( (from|of) (<which> ?)*"
        "(<texts>|<list>|you|this|it|everything|all))?( entirely| completely)?"
    ),
    (
        "(i |id |im )?(<want>|asking|requesting|request)( to)? be (removed|taken off|deleted"
        "|unsubscribed"
        "|optout)( (from|of|off)?( of)? ?(your|this|all|these|those)( <which>)* (<list>|<texts>))?"
    ),
    (
        "(consider|take) this (my|as my|a|as an?|as a formal|my formal|my official|a formal) "
        "(request to )?(optout|unsubscribe|stop request|optout request|stop)( (request|notice))?"
    ),
    (
        "(i )?(hereby )?(revoke|withdraw|rescind) (my |any |all )?(prior )?(consent|permission)"
        "( to (be )?(text|texting|contact|contacted|message|texts|receive texts))?( me)?"
        "( (by|via|through) (text|texts|phone|sms))?"
    ),
    (
        "i dont (consent|give (you )?(my )?(consent|permission)) to (<which> )*"
        "(<texts>|be(ing)? (texted|contacted|text|messaged)|<texting>)"
    ),
    # I don't want your texts.
    (
        "(i )?(dont|no longer) (want|wanna|wish|care|need)( to)?( <get>)?( <which>)* <sms>"
        "( from (you|this number))?( <ever>)?"
    ),
    "i (dont|no longer) <want>( to)? (hear|get anything) from you( <ever>)?",
    (
        "i (dont|no longer) <want>( to)? be (contacted|texted|text|messaged|bothered)( by you"
        "| by text)?"
        "( <ever>)?"
    ),
    "i dont want you( to)? (<texting>|<text>)( <me>)?( <ever>)?",
    (
        "no (more|further)( <which>)* (texts?|messages?|texting|messaging|spam|contact)"
        "( to <me>)?( from you)?"
    ),
    "enough (with|of) (the|these|your|this)( <which>)* (<texts>|<texting>)",
    "cease and desist( (all )?(<texting>|contact|communication|texts|communications))?( <me>)?",
    "(cut it out|knock it off) with (the|these)( <which>)* (<texts>|<texting>)",
)
"""Whole wishes about texts, lists or the number; read as such wherever they stand on their own."""

BARE_WISHES: tuple[str, ...] = (
    "stop( stop)*( (this|all|now))?",
    "unsubscribe( now)?",
    "optout( now)?",
    "stop and (unsubscribe|remove)",
    "(want|need) (this|these|it) to stop",
    "make it stop",
    "stopall",
)
"""Wishes that do not say what shall stop: only where nothing else is said than these, BESIDES and
POLITE."""

POLITE: tuple[str, ...] = (
    *("please", "thanks", "thanks (so|very) much", "thanks in advance", "much appreciated"),
    *("thanks for (understanding|your understanding|reaching out|the (offer|opportunity|info))",),
    *("hi", "hi there", "hello", "hello there", "hey", "hey there", "good (morning|afternoon)"),
    *("sorry", "im sorry", "excuse me", "apologies", "ok", "okay", "k", "alright", "all right"),
    *("no", "nope", "nah", "yes", "yeah", "yea", "um", "uh", "ugh", "omfg", "wtf", "ffs", "smh"),
    *("sir", "maam", "dude", "bro", "man", "guys", "folks", "lady", "mister", "miss", "buddy"),
    *("bud", "pal", "mate", "asshole", "jerk", "creep", "morons?", "idiots?", "bitch", "fucking"),
    *("just", "now", "right now", "already", "immediately", "asap", "at once", "right away"),
    *("again", "anymore", "ever", "ever again", "for good", "forever", "permanently", "at all"),
    *("seriously", "really", "for real", "for the last time", "last time", "i mean it", "period"),
    *("and", "so", "then", "also", "do", "well", "look", "listen", "from now on", "all"),
    *("(going|moving) forward", "in the future", "effective immediately", "completely", "totally"),
    *("have a (good|great|nice|blessed|wonderful) (day|one|night|evening|week|weekend)",),
    *("god bless( you)?", "good luck( to you)?", "best of luck", "take care", "goodbye", "bye"),
    *("damn( it| you)?", "the fuck", "the hell", "fuck( you| off)?", "go away", "get lost"),
    *("(can|could|would|will) (you|someone|somebody|anyone)( guys| people)?",),
    *(
        "(would|do) you mind( please)?",
        "is it possible to",
        "may i",
        "id appreciate it if you( would)?",
    ),
    *(
        (
            "i (already |just |only |again )?(said|(told|asked|am asking) you)( (to|all|before"
            "|already"
            "|twice|once|three times|multiple times))*"
        ),
    ),
    *("im (asking|telling|begging) you( nicely| again| politely)?( to)?", "i beg you( to)?"),
    *("(you )?(need|have|got|had better|youve got|better) to", "you better", "id like you to"),
    *("i (want|need|would like|demand|request)( that)? you( to)?", "i ask (that )?you( to)?"),
    *("id (really )?(like|prefer|appreciate)( it)?( for)?( if)? you( to)?", "this is my final"),
    *("last warning", "final warning", "final notice", "second request", "second time asking"),
    *("or (else )?(ill|i will|im going to) (report|block|sue) (you|this number|this|it)",),
)
"""What people put around a wish, and what makes a question of it that is none."""

BESIDES: tuple[str, ...] = (
    (
        "(im )?(really |still |just )?(not|no longer) interested( in (this|it|anything"
        "|your (job|offer"
        "|product|services?)|whatever youre selling|the (job|position|role|offer)))?( <ever>)?"
    ),
    (
        "(i )?(never|didnt|dont remember|dont recall)( even)? (sign(ed|ing)? up|subscribed?"
        "|ask(ed)?"
        "|appl(y|ied)|agree(d)?|consent(ed)?|opt(ed)? in|request(ed)?|enroll(ed)?)( for| to| with)?"
        "( (this|these|any of this|you|it|that|here|anything|your)( <which>)*( <texts>| list)?)?"
    ),
    "(youve|you)( got| have)? the wrong (person|guy|one|lady|girl|man|woman)",
    "no thanks",
    "no thank you",
    (
        "(i )?already (have|got|found|accepted|took|started) (a|another)"
        " (new )?(job|position|offer|role|doctor|dentist|provider|vendor)"
    ),
    (
        "(ive|i) (found|got|have|accepted|took|started) (a|another)( new| different| full time)? "
        "(job|position|offer|role|doctor|dentist|provider|one|vendor)( (already|now|elsewhere"
        "|last \\w+))?"
    ),
    (
        "im (all set|good|retired|fine|not looking|not looking for (work|a job)|no longer looking"
        "|happy where im at|happy where im|happily employed|too old for this|not a nurse)"
    ),
    "im not (looking|hiring|buying)( (right )?now| anymore| <ever>)?",
    "(who|whos) (is|are|the hell is|the fuck is)?( this| you)",
    "who this",
    "whos this",
    "how did you get (my|this) (number|info|name)",
    "where did you get (my|this) (number|info)",
    "i dont (even )?(know you|know who this is|know who you are|know this number)",
    "(this|its|it) is (spam|annoying|harassment|ridiculous|getting old|too much|illegal)",
    "(you|youre) (are )?(annoying|spamming me|harassing me)",
    "spam(mer)?s?",
    "scam(mer)?s?",
    "(ive|i) (already )?(asked|told) you( \\w+)? (times|already|before|twice|once)",
    (
        "(this is )?the (second|third|fourth|fifth|2nd|3rd|4th|5th|last|\\w+) time( (ive"
        "|i) (asked|said"
        "|told you|have asked|had to ask))?( you)?"
    ),
    (
        "(im|ill|i will|i can)( be| going to)? (report(ing)?|block(ing)?|su(e|ing)) (you|this|it"
        "|this number)( (as spam|to the (fcc|ftc|police)))?"
    ),
    "enough( is enough)?",
    "im done",
    "(no|im not|this isnt|this is not|its not|not) (a )?(longer )?(\\w+)s? (number)( anymore)?",
    "(theres )?(no|nobody|no one)( by| with)? (that|this) name( here)?",
    "nobody here by that name",
    "too many (texts|messages)",
    "(you|youre) (text|texting|message|messaging) too much",
)
"""What else may be said beside a wish without casting doubt on it."""

DOUBTS: tuple[str, ...] = (
    # Not a wish at all.
    (
        "(dont|never|wont|cant|not|without|no need to|no reason to|why|who|when|before|if) "
        "(you )?(\\w+ )?(stop|quit)"
    ),
    "(dont|never|not) \\. stop",
    (
        "(keep|start|resume|continue|love|like|enjoy|miss|missed)( \\w+)? (texting|messaging"
        "|sending"
        "|text|texts|messages|updates|it up|em coming|them coming|me posted|me updated"
        "|me in the loop"
        "|hearing|going|your)"
    ),
    # A joke, a slip, somebody else.
    "jk|kidding|just kidding|joking|lol|lmao|lmfao|rofl|haha(ha)*|hehe|hahah|sarcasm|omg|bahaha",
    "never ?mind|nvm|disregard|ignore (that|this|my|the|last)|scratch that|oops|whoops|my bad",
    (
        "wrong (chat|thread|window|person|text|convo|conversation|group)|meant (for|to)|was for"
        "|not you"
    ),
    (
        "my (\\w+ ){0,3}(kid|son|daughter|toddler|cat|dog|baby|friend|phone) (\\w+ )?(typed"
        "|sent|wrote"
        "|grabbed|texted|did)|autocorrect|voice to text|dictat\\w+"
    ),
    # Somebody's words.
    (
        "(he|she|they|it|\\w+ (mom|dad|wife|husband|boss|ex|sister|brother|friend|manager"
        "|doctor|kid|son"
        "|daughter)|mom|dad|someone|somebody|everyone|people|everybody|the \\w+) (\\w+ )?(said"
        "|says|say"
        "|told|tells|asked|asks|texts|texted|text|replied|wrote|writes|goes|yelled|keeps saying"
        "|like)"
    ),
    (
        "(tell|ask|told|asked|beg|begged|telling|asking) (him|her|them|my|the|this|that|people"
        "|dr|mr"
        "|mrs|ms)|(song|lyrics?|movie|quote|meme|sign|says|example|means|word)"
    ),
    # Only then, only so, or something else instead.
    "if|unless|until|till|except|only if|for now|whenever|as long as|instead of|rather than",
    (
        "but (you can|keep|still|not|i|ill|let|text|feel free|please (keep|send|text|call)|do|only"
        "|maybe|its|that|we|im|also|yes|sure|if|when)"
    ),
    (
        "(text|message|contact|reach|hit|ping|try|ask|check|send|follow|circle|get|touch) (me "
        "|us |in |my "
        "|back |out |to )*(tomorrow|later|back|next|on|at|in|new|other|again (in|next|on|after)"
        "|when|after|once|this|the|instead|through|via|an|a|directly|with)"
    ),
    "once (i|im|you|youre|we|its|that)",
    "let me know|send me|get back to me|keep me|call me (at|tomorrow|later|back|when)|remind me",
    "(my|the) (new|other|personal|home|work|correct|right|real|actual) (number|one|email) is",
    (
        "when (im|i|ive|you|its|we|he|she|they|youre|the)|while (im|i|at|driving)|during|after (i"
        "|my|the)"
    ),
    "wait(ing)? ?list|(i|we) (gave|put|wrote|typed|meant)|\\d{3,}",
)
"""What casts doubt on a wish anywhere in a text: then a person reads it.

WISHES and BARE_WISHES stand as ``stop`` here; BESIDES and the ends of clauses as a full stop;
POLITE is left out.
"""

AFTERTHOUGHTS = (
    "i|im|ive|id|ill|we|were|you|youre|youve|he|she|they|its|who|whos|this is|thats|theres"
    "|because|since|or|but|no|nobody|how|what|wtf|idk|thank"
)
"""Words that begin another sentence, where somebody left the full stop out."""

HINTS: tuple[str, ...] = (
    "(?<!bus )(?<!pit )stop|unsubscribed?|optout|opt out|quit|stop(ping)? (the )?(texts|messages)",
    "(take|remove|delete|drop) (me|us|my (\\w+ )?(name|number|info|contact))",
    "(off|from) (of )?(your|this|that|the) (list|system|database|mailing list|text list)",
    "wrong (number|person|guy|girl|lady|man|woman|one|#)",
    (
        "leave (me|us|him|her|my \\w+) alone|lose (my|this) number|(go away|get lost|fuck off"
        "|piss off)"
    ),
    (
        "(dont|never|not to) (ever )?(text|message|contact|send|call)|(dont"
        "|no longer) want (\\w+ ){0,3}"
        "<texts>|no (more )?(texts|messages)|no more|enough( already)?|too (many|much) texts"
    ),
    (
        "(im |this )?(isnt|not) (\\w+ )?\\w+s (number|phone)|(no one|nobody) (here )?(by|named|with"
        "|called)"
    ),
    (
        "spam(ming|mer)?|harass\\w*|(block|report)(ing|ed)? (you|this|your)|fcc|tcpa|lawyer"
        "|attorney|sue"
    ),
    (
        "(didnt|never|dont (remember|recall)) (sign(ed|ing)? up|ask(ed)? for|consent(ed)?"
        "|subscribed?"
        "|agree(d)? to|opt(ed)? in)|(do not|dont|no) (call|contact|text) list|dnc|revoke|consent"
    ),
    (
        "(cancel|end|discontinue|turn off|shut off|disable|pause) (\\w+ ){0,2}(texts|messages"
        "|alerts"
        "|notifications|subscription|reminders|texting|conversation)"
    ),
    "how (do|can|would) i (get off|get out|turn|disable)",
    "(had|got|have|switched|changed) (a )?(new|this|different) number|new number|changed numbers",
    "(no longer|doesnt|dont) (live|work|use|have) (\\w+ )?(here|this number)|deceased|passed away",
    # Other languages: read by a person, as this list is English.
    "no mas (mensajes|textos)|ya no (me )?(\\w+ )?(mensajes|textos|escrib\\w+|mand\\w+|envi\\w+)",
    (
        "(deje|dejen|deja|pare|paren|para) de (\\w+)|no me (escrib|mand|envi|text)\\w+"
        "|numero (\\w+ )?"
        "equivocado|equivocado|quit(ar|eme|enme)|borr(ar|e|en|a) mi|darme de baja|desuscribir\\w*"
    ),
    (
        "arret(ez?|er)|desabonner|desinscri\\w+|abmelden|keine (\\w+ )?nachrichten|nicht mehr"
        "|falsche"
        " nummer|mauvais numero|smett\\w+|cancella\\w*|nao (me )?(mand|envi)\\w+|stoppen|aufhoren"
    ),
)
"""What makes a text that is no clear wish one for a person to read."""

WHOLE_HINTS: tuple[str, ...] = (
    (
        "(please )?(cancel|end|quit|remove|revoke|delete|finish|done|over|halt|cease|exit|arret"
        "|alto"
        "|basta|parar|pare|detener|detente|cancelar|baja|sair|stopp|salir|fin)( (please|this|it|now"
        "|all|me|everything|thanks|conversation))*( (cancel|end|quit|remove|stop|alto|basta))*"
    ),
)
"""The same, for texts that say nothing else."""
