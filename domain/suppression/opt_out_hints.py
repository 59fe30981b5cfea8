"""What has to be in a text, or must not be, for the model to opt somebody out: reviewed data.

For ``opt_out_intent``, written like the phrases of ``opt_out_phrases``: regular expressions
over words in small letters, after SPELLINGS, with ``<name>`` for one of WORDS.
"""

HINTS: tuple[str, ...] = (
    # To end, to leave, to be let go.
    "stop\\w*|quit\\w*|ceas\\w+|desist|halt|discontinu\\w+|end(ed|ing)?|enough|enuff?|done|no more",
    (
        "un\\w*scri?b\\w*|unsub\\w*|unenroll\\w*|opt\\w*|cancel\\w*|cancle|turn|shut|kill|refrain"
        "|exclude|omit"
    ),
    "remov\\w*|delet\\w*|eras\\w+|purg\\w+|wip\\w+|scrub|scratch|strike|drop|yank|retire|blacklist",
    "off|out|alone|lose|trash|rid|forget|go away|get lost|knock it off|leave|lemme|let (me|us|it)",
    "fuck|piss|buzz|bug|bother|harass\\w*|spam\\w*|annoy\\w*|sick of|tired of|block\\w*|report\\w*",
    (
        "fcc|ftc|tcpa|dnc|registry|lawyer|attorney|consent|permission|revok\\w+|withdraw|unwanted"
        "|unwelcome"
    ),
    # Not, and not mine.
    "(dont|didnt|not|isnt|aint|never|no|without|wrong|incorrect) \\w+|rather not|nobody|no longer",
    "deceased|passed away|died|somebody else|someone else",
    # Other languages.
    (
        "mensaj\\w+|texto\\w*|numer\\w+|escrib\\w+|mand\\w+|envi\\w+|equivoc\\w+|borr\\w+"
        "|elimin\\w+|quit\\w+|baj\\w+"
    ),
    (
        "basta|alto|pare|parar?|deje\\w*|saqu\\w+|lista|cancel\\w+|desuscri\\w+|remu\\w+"
        "|recib\\w+|moleste\\w*"
    ),
    "arret\\w*|ecri\\w+|envoy\\w+|plus|desabonn\\w+|supprim\\w+|retir\\w+|laissez|mauvais|faux",
    "keine|nicht|nehmen|losch\\w+|abmeld\\w+|falsche|aufhor\\w+|ruhe",
    "nao|chega|apag\\w+|sair|tir[ae]|errado|non|togli\\w+|sbagliato|geen|verkeerd",
    (
        "wag|huwag|tanggalin|tigilan|ayoko|tama na|alis|hindi|dung|ngung|xoa|nham|sai|nie|usun\\w+"
        "|pomylk\\w*"
    ),
    "pa|sispann|retire|efase|move",
    "[^\\W0-9_a-z\u00e0-\u024f]+",
)
"""Words without which hardly anybody asks for no more texts: the model opts nobody out without one.

The last is any word of another script.
"""

NEAR_WISHES: tuple[str, ...] = (
    "(<halt>|enough|chill) (\\w+ ){0,3}(<texting>|<sms>|reminders?|alerts|asking|hounding)",
    "refrain from (<texting>|sending)",
    (
        "(dont|never|not) (\\w+ ){0,2}(text|contact|message|msg|write|bother|send|reach out|hit me"
        "|hit my line)"
    ),
    (
        "(dont|no longer|never|not) (\\w+ ){0,2}(want|wanna|wish|need|care) (\\w+ ){0,5}(<sms>"
        "|these|reminders|alerts|communications|contacted|texted|hear from)"
    ),
    (
        "(take|taken|get|pull|scratch|strike|yank|cross|drop|put|leave|wipe|<remove>|removed) "
        "(\\w+ ){0,4}(off|out|from)"
    ),
    (
        "(<remove>|drop|wipe|lose|forget|discard|pull|kill|end|cancel) (\\w+ ){0,3}(number|me|us"
        "|info|information|data|texts|alerts|notifications|file|subscription)"
    ),
    "unsubscribe|optout|unenroll\\w*|<revoke> \\w+|consent|leave (\\w+ ){1,2}(alone|be)|<removed>",
    (
        "no (more|further|mas) (\\w+ ){0,3}(<sms>|textos|mensajes|reminders|recordatorios|alerts"
        "|please)"
    ),
    "(wrong|incorrect) (phone )?(number|person|guy|man|lady|woman)|not \\w+s? (number|phone)",
    # Spanish.
    "(no|nunca) (me |nos |se )?(vuelvan? a )?(mand|envi|escrib|text|contact|molest)\\w+",
    "(borr|elimin|quit|saqu|retir|remu)\\w+(me|nos| (\\w+ )?(mi|el|este|de|numero|me))",
    (
        "no (quiero|deseo) (\\w+ ){0,3}(mensajes|textos|recordatorios|comunicacion)"
        "|deje\\w* de \\w+|numero (equivocado|errado|mal)|dar(me)? de baja"
    ),
)
"""What comes near a wish, whatever stands in between: less certainty of the model suffices."""

OBJECTIONS: tuple[str, ...] = (
    # Something else is to end: a shift, an appointment, an order, calls, somebody else's entry.
    (
        "(pickup|pick up|waiting|wait|guest|allergy|standby|on call|supply|shift|shopping|sign ?up"
        "|reminder) ?list"
    ),
    "^(please )?(remove|delete|cancel) (this|that|it)( \\w+)?$|^no (texts?|messages?)$",
    (
        "(take|remove|drop|pull|get|delete|cancel|end|stop|quit|cut|withdraw) (\\w+ ){1,4}(shift"
        "|schedule|appointment|appt|order|class|lesson|lease|contract|membership|reservation"
        "|booking|fee|charge|policy|quote|resume|application|interview|photo|picture|address"
        "|email|card|insurance|payment|delivery|slot|nights?|days|weekend|<day>|roster|rotation"
        "|availability|consideration|coverage|standby|dose|refill|website|landline)s?"
        "(?! (texts?|alerts?|messages?|reminders?|blasts?))"
    ),
    (
        "(take|remove|drop|cross|scratch) (him|them|uncle|aunt|grandma|grandpa|mom|dad"
        "|my (\\w+ )?(ex|wife|husband|son|daughter|mom|dad|kid|mother|father|brother|sister|boss))"
        "(?! (number|phone|off (your|this) (text )?list))"
    ),
    (
        "(stop|quit|no more|dont) (call(s|ing)?|email(s|ing)?|voicemails?)"
        "(?! (and|or|text|list|registry|me (and|or)))"
    ),
    (
        "(stop|quit|dont|no more|without) (sending |send |with )?(\\w+ ){0,2}(pdfs?|links?"
        "|attachments?|pictures?|pics|photos?|videos?|voice \\w+|voicemails?|emails?|mail|letters?"
        "|flyers?|forms?|paper\\w*|packages?|boxes|invoices?|bills?|statements?|group texts?)"
        "(?! (and|or|text))"
    ),
    (
        "dont (\\w+ )?(send|share|give|submit|contact|call|text|message|email) (my|the) (?!number"
        "|phone)"
    ),
    "no more than|(not|none|any) (\\w+ )?of (these|those) \\w+",
    (
        "no more (\\w+ ){0,2}(shifts?|nights?|mornings?|weekends?|doubles|overtime|hours|calls"
        "|emails|questions|room|seats|spots)(?! (and|or))"
    ),
    (
        "(optout|opting|opted|unsubscribe|withdraw\\w*|remove|take) (\\w+ ){0,4}(permit|raffle"
        "|drawing|race|plan|benefits|insurance|autopay|paperless|trip|event|game|league|study|running"
        "|carpool|overtime|tab|total|bill|invoice)"
    ),
    "(give|pass|offer|(someone|somebody) else) (\\w+ ){0,3}(my|seat|spot|slot|place|appointment)",
    "no longer (able|need (a|the|that))|not the (owner|manager|tenant)",
    # Not to be taken off, or only by mistake.
    (
        "(dont|never said|didnt mean|no need to|wasnt|not|accident\\w*|by mistake) "
        "(trying |asking |going |want )?(you )?(to )?((be|get) )?(taken off|take me|remov\\w+ me"
        "|removed|delete me|unsub\\w*|optout|opting|lose my number|drop me|stop)"
    ),
    (
        "(never|didnt|wouldnt|dont|wont|havent|not|no (need|reason|way)|why would i)( \\w+)?("
        " (wanted|want|ask|asked|tell|told|say|said|text|texted|mean|meant|try|trying|you|me"
        "|anyone|anybody|to|be|get|the|it))* (stop|unsubscribe|removed?|optout|opted|taken off"
        "|dropped|cancel|take (me|my))"
    ),
    "(dont|never|wouldnt) (want|wanna) (to )?(miss|lose|end|be left)",
    "(not|isnt|wasnt) (a |the )?wrong|wrong (number|one|amount) (of|for)",
    "no me (quite|saque|borre|elimine)\\w*|sin querer|si quiero|mejor",
    "(por|fue( un)?) (error|accidente)",
    "^(did|was|were|am|are) (you|i|we|my|some\\w+)|^who (took|removed|deleted)|^why (was|were)",
    (
        "(was|were|got|been|not) (removed|deleted|taken off)( from)?( your| the)? (\\w+ )?(please"
        "|can|by)"
    ),
    # Only then, only so, only somebody.
    (
        "(text|texts|texting|message|messages|messaging|contact|contacting|these|me|it) (\\w+ )?"
        "(before|after|until|during|while|when|whenever|on <day>s?|so (early|late|much|often)"
        "|(this|too|so) (early|late)|in (class|english|spanish|caps)|for (now|a while|the time)"
        "|at (night|work|school|\\d\\w*)|over the|this (week|month)|early|late)"
    ),
    (
        "(text|texting|message|messaging|contact|contacting) (my|his|her|him|them|our)"
        "(?! (\\w+ )?(phone|number|cell|line|house|mobile))"
    ),
    "(?<!better )(you|u) can (text|contact|message|call|reach)|use (my|this|the|that)",
    "(?<!dont )(?<!or )(?<!and )(call|email) me|old (number|phone|cell)",
    "(text|reach|contact|message) me (at|on|here|via)",
    (
        "from (the |your )?(emails?|newsletter|mail)|(emails|newsletter) (but|only)|off the (email"
        "|mail)"
    ),
    (
        "(i|we) (must |may |might )?(have|had|got|dialed|called|typed|gave|put|wrote|texted"
        "|entered)( \\w+){0,2} (wrong|incorrect)"
    ),
    # More is wanted, or something else, or elsewhere.
    "(?<!dont )(?<!to )keep (me|texting|sending|them|it|these|the) ",
    "still (want|need|love|interested)|id love|resub\\w*|optin|opt in|start",
    "(?<!dont )(?<!not )i (want|need|love|like) (these|them|the (texts|alerts|reminders|job))",
    "(add|sign|put|bump) me (back|up|on the)|(find|send) me (a|an|the|another|something|info)",
    "(?<!not )(?<!you are )(?<!youre )looking for|what else|please send|anybody else",
    "instead|(just|only|please) (text|call|email|use)|(texts?|texting) (is|are) (\\w+ )?\\w+",
    "^(\\w+ )?how (do|can|would|to) |back to back",
    "better|new number|glad|no maam|(fair|good|not) enough|enough (for|to|time|hours)",
    "(why|how come|when|how (long|often)) (did|do|does|have|has|havent)",
)
"""What makes the model's opinion one for a person to read, and a phrase in need of the model's:
something else is asked for."""
