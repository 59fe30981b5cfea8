"""The phrases by which people ask for no more texts: reviewed data for ``opt_out_intent``.

Sources: 47 CFR 64.1200(a)(10) (in force since 2025-04-11) has consent revoked by "any reasonable
means": a text that is none of its keywords counts if a reasonable person would understand it as a
request to stop. CTIA's Messaging Principles and Best Practices (May 2023, 5.1.3) ask senders to
heed ordinary language such as "stop texting me". The rest is our own judgement of American English;
tests/domain/suppression/intent holds what it is measured on.

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
        "st0p|stopp|sotp|stpo|stp|sstop|tsop|stopo|stopm|stahp|dtop": "stop",
        "unsub|unsubbing|unsubscribing|un ?su[bs]?[bsc]+r?i[bp]e?|unsubcribe|unsubscrib"
        "|unsubscrie|unsubscrbe|unsubsrcibe": ("unsubscribe"),
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
        "text": "(text|message|contact|write|msg|reach out|spam|bother|bug|harass|call (and"
        "|or) text"
        "|text (and|or) call|call text|text call|text (and|or) email|contact or text)",
        "texting": "(texting|messaging|contacting|spamming|bothering|bugging|harassing|pestering"
        "|soliciting|reaching out( to)?|trying to (reach|contact|text)|writing( to)?"
        "|calling (and|or) texting|texting (and|or) calling|calling texting|texting calling"
        "|texting (and|or) emailing|blowing up|texting and messaging)",
        "texts": "(texts?|messages?|spam|text spam|communications?|correspondence|solicitations?"
        "|marketing|promos?|promotions|alerts|updates|notifications|stuff|crap|shit|bs"
        "|job offers|offers|text blasts?|garbage|nonsense)",
        "sms": "(texts?|messages?|texting|messaging|spam|text spam|solicitations?)",
        "which": "(these|this|those|that|your|any|all|all your|all these|all of these"
        "|any of these|any of your|all of your|so many|the|more|anymore|no more|stupid|damn"
        "|fucking|dumb|another|any more|job|work"
        "|annoying|automated|unwanted|spam|random|further|future|marketing|recruiting|promotional"
        "|such|of)",
        "list": "((text|texting|sms|contact|call|calling|phone|mail|mailing|marketing|messaging"
        "|message|spam|distribution|email) list|list|system|database|records|contacts?|directory"
        "|files?|text thread|group text|campaign|rolodex|phone|text chain|marketing|texts)",
        "your": "((your|this|all|any|any of your|all your|all of your) <list>|the (text|texting|sms"
        "|mailing|marketing|messaging|contact|spam|distribution|calling|call|phone) list)",
        "ever": "(again|anymore|ever again|any further|further|any longer|ever|no more|at all"
        "|in the future|going forward)",
        "want": "(want|wanna|want to|wish|wish to|care to|need|would like|like|need to)",
        "halt": "(stop|quit|cease|discontinue)( (the )?(fuck|fuckin|fucking|freaking|damn))?",
        "not": "(dont|never|dont ever|never ever)",
        "mine": "((my (name|number|info|information|contact|contact info|contact information"
        "|details)|this number)( and( my)? (name|number|info|information|email|contact))*)",
        "remove": "(remove|removing|delete|deleting|erase|erasing|scrub|scratch|unlist)",
        "removed": "(removed|deleted|erased|unsubscribed|optout)",
        "off": "(off|off of|from|out of|from off|of)",
        "revoke": "(revoke|revoking|withdraw|withdrawing|rescind|rescinding)",
        "day": "((mon|tues|wednes|thurs|fri|satur|sun)day)",
        "get": "(get|getting|receive|receiving|be getting|be receiving|keep getting|hear|be sent"
        "|see|have)",
    }
)
"""What stands for ``<name>`` in a phrase."""

WISHES: tuple[str, ...] = (
    # Stop texting me.
    "<halt> (it )?(with )?<texting>( <me>)?( and <texting>( <me>)?)?",
    "<halt> <texting> <me> (about|regarding) (this|it|jobs?|this (job|position|role|offer))",
    "<halt> sending( <me>)?( <which>)* <texts>( to <me>)?( about (this|jobs?|work))?",
    "<halt> sending( <me>)? (these|this|those|anything)",
    "<halt>( it)?( with)?( <which>)+ (<sms>|alerts|notifications|communications?|promotions)",
    "<halt> (text|texts|sms|contact|contacting|communications?)( with)?( <me>)?",
    "<halt> all( of)?( <which>)* (<texts>|contact)( (to|with) <me>)?",
    "(end|cancel|shut off|turn off) (these|those|all|your|the)( <which>)* (texts|messages|texting)",
    "(stop|quit) (hitting|blowing) <me>( up)?",
    "cease and desist( (all )?(<texting>|contact|texts|communications?))?( <me>)?",
    "enough (with|of)( <which>)+ (<texts>|<texting>)",
    # Don't text me.
    "<not> <text> (to )?<me>( no more| back ever)?( <ever>)?",
    "<not> (text|message|contact|reach out|call or text|text or call)( <ever>)?",
    "<not> (send|text|message)( <me>)?( <which>)* <texts>( to <me>)?( <ever>)?",
    "<not> send <me> (anything|texts)( else)?( <ever>)?",
    "<not> use (my|this) number( <ever>)?",
    "youre not to (text|contact|message) me( <ever>)?",
    # Off your list. A waiting list, a shift or an on-call list is another matter.
    "(take|taking|<remove>|drop|strike|get|getting|pull|cross) (<me>|<mine>|this) <off> <your>",
    "(take|<remove>|get) (<me>|<mine>) (off|from)( <which>)+ <texts>",
    "<remove> (<mine>|me|us)( from your <list>)?",
    "(lose|loose|trash|forget|take off) (my|this) number",
    "take ((my|this) number|me|us) off",
    (
        "(put|add|place) (<me>|my name) (on|to) (your|the) (dont|no) (call|contact|text)"
        "( or (call|text))?( list)?"
    ),
    "(i |id |im )?(<want>|asking|requesting) (to )?(be|get) <removed>( <off> <your>)?",
    "(i |id |im )?(<want>|asking|requesting) (to )?(be|get) (taken )?off <your>",
    "(can|could|may) (i|we)( please)? (be|get) (<removed>|taken)( <off> <your>)",
    (
        "(i |id )?<want> (to (have|get) )?(<mine>|this number)( to be)? (<removed>|taken off)"
        "( (<off> )?<your>)?"
    ),
    "(i |id )?<want> off( of)? <your>",
    # Leave me.
    "leave (me|us)( the \\w+| tf)? alone",
    # Wrong number.
    (
        "(i (think|believe) |looks like |seems like |pretty sure |sorry )*((youve|you|this is|its"
        "|that is"
        "|thats|you must|you must have)( got| have| are texting| texting| text| reached| dialed)? "
        "|(youre|your) (texting|messaging|contacting) |have |got |texting )?(the |a "
        "|an )?wrong number"
    ),
    # Unsubscribe.
    (
        "(im |ill |id |i )?(<want> |requesting to |asking to |choosing to |going to "
        "|here to )?(to )?"
        "(unsubscribe|optout)( (me|us|my number|this number|now))?( (from|of)( (receiving"
        "|getting))?"
        " (<which> ?)*(<texts>|<list>|you|this|it|everything|all))?( entirely| completely)?"
    ),
    (
        "(consider|take) this (as )?(my |an? )?(formal |official "
        "|final )?(request to )?(unsubscribe"
        "|stop|optout)( (request|notice))?"
    ),
    (
        "(i |im |we )?(hereby )?<revoke> (my |any |all |all my )?(prior )?(consent|permission)"
        "( to (be )?(text|texting|contact|contacted|messaged|message"
        "|<get>( <which>)* <texts>))?( me)?"
        "( (by|via|through) (text|texts|phone|sms))?"
    ),
    (
        "(i |you )?(dont|no longer|never) (have|had|consent|consented|give"
        "|gave)( you)?( my)?( consent"
        "| permission)? to ((<which> )*<texts>|(be |being )?(texted|contacted|text|messaged|contact"
        "|message)"
        "|<texting>|<get>( <which>)* <texts>)( <me>)?( <ever>)?"
    ),
    # I don't want your texts.
    (
        "(i )?(dont|no longer) (want|wanna|wish|care|need)( to)?( be)?( <get>)?( <which>)* <sms>"
        "( from (you|this number|your (company|business|agency|office)))?( <ever>)?"
    ),
    "(i )?(dont|no longer|never) <want>( to)? (hear|get anything) from you( <ever>)?",
    (
        "(i )?(dont|no longer) <want>( to)? be (contacted|texted|text|messaged|bothered)( by (you"
        "|text))?"
        "( <ever>)?"
    ),
    "i dont want you( to)? (<texting>|<text>)( <me>)?( <ever>)?",
    "(id |i )(prefer|rather)( that| if)? you (dont|not|didnt) <text> <me>( <ever>)?",
    (
        "no (more|further)( <which>)* (texts?|messages?|texting|messaging|spam|contact)( to <me>)?"
        "( from you)?"
    ),
    "dnc( please| list)?",
    # Other languages; what stands for a doubt in them is no phrase, so it ends no wish.
    "(falsche|verkeerde?) nummer|numero (equivocado|errado|sbagliato)|(faux|mauvais) numero",
    (
        "(no|nunca) me (escriban?|manden?|envien?|texteen?|contacten?)( mas| nunca mas| nada mas"
        "| mas (mensajes|textos))"
    ),
    "(dejen?|paren?) de (escribirme|(mandar|enviar)me( (mas )?(mensajes|textos))?)",
    "(pare|parem|para) de (me )?(mandar|enviar) (mensagem|mensagens)( para mim)?",
    "arretez de m(ecrire|envoyer des (sms|messages|textos))",
)
"""Whole wishes about texts, lists or the number; read as such wherever they stand on their own."""

BARE_WISHES: tuple[str, ...] = (
    "stop( stop)*( (this|all|now))?",
    "unsubscribe( now)?",
    "optout( now)?",
    "stop and (unsubscribe|remove)",
    "please remove(?! \\w)|remove please",
    "(want|need) (this|these|it) to stop",
    "make it stop",
    "please stop it|stop it (please|now|right now)",
    "stopall",
    "remove|delete|(please )?end this|blocking you",
    "arretez|bitte stop|stop bitte",
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
    *(
        "bud",
        "yo",
        "bruh",
        "hun",
        "my (guy|man|friend)",
        "pal",
        "mate",
        "asshole",
        "jerk",
        "creep",
        "morons?",
        "idiots?",
        "bitch",
        "fucking",
    ),
    *("just", "now", "right now", "already", "immediately", "asap", "at once", "right away"),
    *("again", "anymore", "ever", "ever again", "for good", "forever", "permanently", "at all"),
    *(
        "seriously",
        "really",
        "still",
        "for real",
        "for the last time",
        "last time",
        "i mean it",
        "period",
    ),
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
    "ive (already |just )?(said|(told|asked) you)( to)?",
    "(two|three|four|five|several|many) times( now| already)?",
    "youve (already )?been (told|asked)( (to|already|before|twice))*",
    "how many times do (ive|i need|i got) to (say|tell you|ask you)( to)?",
    "you can( just)?",
    *("im (asking|telling|begging) you( nicely| again| politely)?( to)?", "i beg you( to)?"),
    *("you (need|have|got|had better|youve got|better) to", "you better", "id like you to"),
    *("i (want|need|would like|demand|request)( that)? you( to)?", "i ask (that )?you( to)?"),
    *("id (really )?(like|prefer|appreciate)( it)?( for)?( if)? you( to)?", "this is my final"),
    *("last warning", "final warning", "final notice", "second request", "second time asking"),
    *("or (else )?(ill|i will|im going to) (report|block|sue) (you|this number|this|it)",),
)
"""What people put around a wish, and what makes a question of it that is none."""

BESIDES: tuple[str, ...] = (
    (
        "(im )?(really |still |just )?(not|no longer) interested( in (this|it|anything"
        "|(your|any) (jobs?|offers?"
        "|product|services?)|whatever youre selling|the (job|position|role|offer)))?( <ever>)?"
    ),
    (
        "(i )?(never|didnt|dont remember|dont recall)( even)? (sign(ed|ing)? up|subscribed?"
        "|ask(ed)?"
        "|appl(y|ied)|agree(d)?|consent(ed)?|opt(ed)? in|request(ed)?|enroll(ed)?)( for| to| with)?"
        "( (this|these|any of this|you|it|that|here|anything|your)( <which>)*( <texts>| list)?)?"
    ),
    "(youve|you)( got| have| texted| are texting)? the wrong (person|guy|one|lady|girl|man|woman)",
    "no thanks",
    "no thank you",
    (
        "(i )?already (have|got|found|accepted|took|started) (a|another)"
        " (new )?(job|position|offer|role|doctor|dentist|provider|vendor)"
    ),
    (
        "(ive|i)( found| got| have| accepted| took| started)? (a|another)( new| different"
        "| full time)? "
        "(job|position|offer|role|doctor|dentist|provider|one|vendor)( (already|now|elsewhere"
        "|last \\w+))?"
    ),
    (
        "im (all set|good|retired|fine|not looking|not looking for (work|a job)|no longer looking"
        "|happy where im at|happy where im|happily employed|too old for this|not a nurse)"
    ),
    "(im )?not (looking|hiring|buying)( (right )?now| anymore| <ever>)?",
    "i retired( (in|last) \\w+)?",
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
    "(dont|never|not) \\. stop|need to stop",
    (
        "im (driving|busy|asleep|sleeping|working|on shift|on a call|(in|at) (a|the|my|work|school"
        "|class"
        "|church|meeting))"
    ),
    (
        "(keep|start|resume|continue|love|like|enjoy|miss|missed)( \\w+)? (texting|messaging"
        "|sending"
        "|text|texts|messages|updates|it up|em coming|them coming|me posted|me updated"
        "|me in the loop"
        "|hearing|going|your)"
    ),
    # Somebody in distress.
    (
        "(want|wanna|wish|ready|going) (\\w+ )?(die|dead|be here( anymore)?|hurt myself|kill myself"
        "|disappear)|suicid\\w+|kill(ing)? myself|end (it all|my life)|live (like this|anymore)"
        "|cant (do|take) (this|it) anymore|cant go on|no point anymore"
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
        "but (with|for|you can|keep|still|not|i|ill|let|text|feel free|please (keep|send|text|call)"
        "|do|only|maybe|its|that|we|im|also|yes|sure|if|when)"
    ),
    (
        "(text|message|contact|reach|hit|ping|try|ask|check|send|follow|circle|get|touch) (me "
        "|us |in |my "
        "|back |out |to )*(tomorrow|later|back|next|on|at|in|new|other|again (in|next|on|after)"
        "|when|after|once|this|the|instead|through|via|an|a|directly|with)"
    ),
    "once (i|im|you|youre|we|its|that)",
    "let me know|send me|get back to me|keep me|(just )?call (me|instead)|remind me",
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
    "i|im|ive|id|ill|it (is|was|belongs)|we|were|you|youre|youve|he|she|they|its|who|whos|this is"
    "|thats|theres|because|since|or|but|no|nobody|how|what|wtf|idk|thank"
)
"""Words that begin another sentence, where somebody left the full stop out."""
