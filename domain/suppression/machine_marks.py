"""What a text bears that phones, desks and carriers write, though a person might: reviewed data.

For ``text_kinds``: regular expressions over a folded text. A text that bears one of these
marks opts nobody out by itself, so what a person writes now and then may be among them; it costs
that person a review. Characters beyond ASCII are folded like the text before they are
looked for, ``<line>`` and ``<does>`` stand for LINE and DOES.
"""

LINE = (
    "(this|the|that|an?|our) ((phone|cell|mobile|text|texting|business|office|toll free"
    "|wireless|work|company|store|shop|school|contact|email|voice|main|old"
    "|text message) ){0,2}(number|line|inbox|mail ?box|phone|cell|mobile|landline|account"
    "|device|service|system|desk|extension|hotline|channel|thread|chat|ticket|case"
    "|conversation|message|text|reply|response|voicemail|code|store|shop|office|clinic)"
)
"""A number, a line or a message, as what a sentence is about."""

DOES = (
    "((that|which|you|we) )?(\\w+ ){0,2}?(is|are|was|were|has|have|had|does|do|did|doesnt"
    "|cannot|cant|will|wont|can|isnt|wasnt|hasnt|no longer|may|belongs to (the|our)|accepts"
    "|receives|sends)"
)
"""What it is or does, whatever it be."""

MARKS: tuple[str, ...] = (
    # It says so, in whatever language.
    (
        "\\bauto(?!\\w*(mobile|pay|correct))\\w*|automat|teleautomat|otomat\\w*|awtomat\\w*"
        "|автомат\\w*|автоответ\\w*|自动|自動|자동|tu [dđ]ong|تلقائي|אוטומטי|αυτοματ\\w*|स्वचालित"
        "|pa machin"
    ),
    (
        "\\b(im|i am|is|its|the|our|am|texting|this) (an? )?(chat|ro)?bot\\b|\\bchat ?bot"
        "|(virtual|digital|ai|voice) (assistant|agent|receptionist)"
    ),
    ("(asistente|assistente) virtual|answering (service|machine)|contestador\\w*|anrufbeantworter"),
    # A number, a line, a message as what does or does not do something.
    "\\b<line> <does>\\b|\\b<line> (\\w+ )?(only|not)\\b",
    (
        "\\byour (number|message|text|sms|msg|request|call|inquiry|case|ticket) (\\w+ )?(is|has"
        "|was|will|could)\\b"
    ),
    (
        "^\\W*(texts?|messages?|sms|replies|responses|calls|voicemails?"
        "|emails?)\\b(?! me\\b)(?! (was|were|is|are) )(?! at \\d)"
    ),
    (
        "\\b(texts|messages|replies|responses|texting) (sent )?((to|from|on|at) \\w+ \\w+ "
        "|here )?(is|are|isnt|arent|will|wont|cannot|go|get) "
    ),
    "\\b(do not|dont) (reply|respond)\\b|\\breply not\\b",
    (
        "\\byouve? (have |just )?(reached|texted|dialed|contacted|messaged|called)(?! (the|a"
        "|me at the|someone at the) (wrong|incorrect))|\\byou (are|re) (texting|calling"
        "|trying) (to (reach|text|call|contact) )?(the (?!wrong|incorrect)|an? (number|line"
        "|landline|business line|automated|office|system|customer|subscriber))"
    ),
    ("\\b(send|receive|outbound|outgoing|inbound|incoming|notification|alert|text)s?[- ]only\\b"),
    (
        "\\b(outbound|outgoing|incoming|inbound) |\\b(not|no longer|un) ?(monitored|attended"
        "|staffed)\\b"
    ),
    # Its states.
    (
        "\\b(not|never|no longer|isnt|arent|wont be|only) (\\w+ )?(checked|read|answered"
        "|reviewed|accepted|accepting|forwarded|enabled|supported|available|assigned|allocated"
        "|registered|recognized|recognised|valid|working|active|in (use|service)|used|able to"
        "|with (the|us|this))\\b"
    ),
    (
        "\\b(disconnected|deactivated|decommissioned|suspended|unallocated|unassigned|ported"
        "|out of service|turned off|switched off|powered off|shut off|silenced|paused"
        "|unavailable|unreachable|undeliver\\w*|intercepted|rejected|discarded|unread"
        "|restricted|barred|invalid|unrecogni[sz]ed|unknown)\\b"
    ),
    (
        "\\b(has been|is being|was|were|will be) (\\w+ )?(blocked|deleted|reported|flagged"
        "|closed)\\b"
    ),
    (
        "\\bunable to\\b|\\bdid(nt| not) (get|understand|recognize) (that|your)|(number|invalid"
        "|wrong) format|\\bnot (able|possible|permitted|allowed) to\\b|(nicht|non) (erreichbar"
        "|raggiungibile)|lese (hier |derzeit )?keine|ne lis pas|no leo|nao leio|non leggo"
    ),
    (
        "\\bcorrespondant|用户|用戶|텔레콤|\\b(shield|filter|panel|tracker|sensor)\\b|\\b(fax|test"
        "|alarm|emergency) (line|number|phone|panel)\\b"
    ),
    ("\\bdeliver(y|ed|able)\\b|\\bfail(ed|ure)\\b|\\berror\\b|\\bmsg \\d|\\bsmsc\\b|\\bndr\\b"),
    (
        "\\b(subscribers?|recipients?|handset|senders?|carrier|short ?codes?|landlines?"
        "|voice ?mail|mail ?box|inbox|extension|ext|switchboard|help ?desk|keywords?|commands?"
        "|dnd|block(ed)? list|unmonitored|unattended|caller id)\\b"
    ),
    (
        "\\b(the|this) (wireless |mobile )?(person|party|user|customer|owner|account holder"
        "|employee|caller)\\b"
    ),
    # Who is away, and who is to be asked instead.
    (
        "out of (the )?office|\\booo\\b|\\b(on|from) (\\w+ )?(vacation|leave|pto|holiday|break"
        "|duty|deployment|sabbatical|shift)\\b|\\b(vacation|away) (message|responder|reply)"
        "|do not disturb"
    ),
    (
        "^\\W*(im |i am |currently |were |we are )?(away|gone|out|sleeping|asleep|napping"
        "|driving|busy|traveling|travelling|hiking|biking|riding|flying|abroad|on an? (plane"
        "|flight|call|boat|cruise|train|ship|trip)|offline|unavailable|in (an? |the )?(meeting"
        "|class|court|surgery|clinic|appointment|session|exam|training|flight|theater"
        "|hospital))\\b"
    ),
    "\\b(im|i am) out\\b|\\bout (sick|of town|today|till|until)\\b|\\bonly use this\\b",
    (
        "\\b(text|message|contact|call|bother|write) me\\W+(please )?(text|call|email"
        "|contact|page|ask|message|write) (?!me\\b)"
    ),
    "\\bfor (\\w+ ){1,3}(contact|call|text|email|ask|see|reach|page|dial|visit)\\b",
    (
        "\\b(dont|do not|doesnt|does not|cannot|cant|no longer|never|not|only) (\\w+ )?(accept"
        "|take|receive|read|answer|monitor|communicate|use|respond"
        "|check)\\w* (\\w+ ){0,3}(texts?|sms|messages?)\\b"
    ),
    (
        "no longer (works?|employed|with|at|part|associated)|left (the )?(company|firm|agency"
        "|organization|team)|\\bhas (left|retired|moved|changed)\\b"
    ),
    (
        "\\b(i|we)(ve| have)? (changed|moved|switched|got a new) (\\w+ )?(number|phone|line)"
        "|\\bnew (phone |cell )?(number|line|phone)\\b|\\bnumber has\\b"
    ),
    (
        "(will|ill|well|shall) (\\w+ )?(reply|respond|answer|get back|return|be back"
        "|text (you )?back|call (you )?back|see (it|this|your)|read|follow up|be in touch"
        "|reach out|assist)"
    ),
    (
        "(?<!not )(?<!dont )(?<!not to )\\b(contact|call|dial|email|visit|page|ask for"
        "|write to) (our|the|us|at|ext|hr)\\b"
    ),
    ("\\bplease (call|dial|visit|email|contact|direct|allow|note|leave (a|your)|hold|wait)\\b"),
    (
        "\\b(for|in case of|if its|if this is) (an? |any )?(urgent|emergenc|immediate|assist"
        "|help|support)"
    ),
    ("\\bif (this is|its|you need)\\b|\\b911\\b|\\bmedical\\b|\\b(dial|press) \\w+ (for|to)\\b"),
    # Hours and days of a desk.
    (
        "\\b(business|office|opening|working|after|store|shop|our|regular|school) (hours"
        "|days?)\\b|\\bhours\\b|\\b(re)?opens?\\b|(?<!i )(?<!we )(?<!ive )\\bclosed\\b(?! my)"
        "|\\b(mon|tue|tues|wed|thu|thur|fri|sat|sun)\\w*( ?- ?| to | thru | through )(mon|tue"
        "|wed|thu|fri|sat|sun)|\\bm ?- ?f\\b|\\b24 ?/ ?7\\b"
    ),
    (
        "\\d ?[ap]\\.?m?\\.? ?(-|to|until|till|thru) ?\\d|\\b\\d{1,2} ?- ?\\d{1,2}\\b"
        "|\\b\\d{1,2}/\\d{1,2}\\b"
    ),
    # Desks and their signatures.
    (
        "\\bthank(s| you) for (your (text|message|call|email|interest|patience|inquiry|note"
        "|order)|contacting|calling|texting|messaging|reaching|visiting|choosing|writing"
        "|getting)"
    ),
    (
        "\\b(received|got|missed) your\\b|\\bhas been (received|opened|created|closed|removed"
        "|added|sent)"
    ),
    (
        "[-\u2013\u2014(] ?(the )?(\\w+ ){0,4}(team|staff|office|dept|department|support|services?"
        "|inc|llc|clinic|desk|bot|system|group|center)\\W*$"
    ),
    "\\b(sent|generated|powered|delivered) (from|by|via|while|with)\\b",
    ("\\bour (\\w+ )?(team|staff|agents?|representatives?|office|website|app|crew|associates)\\b"),
    "https?:|\\bwww\\.|\\w\\.(com|org|net|gov|edu|co|io|us|example)\\b|@\\w",
    # A tag before it, or around it.
    (
        "^\\W*(?!to whom|dear|please|hi |hello|hey|whoever|it is"
        "|its)[\\w&'. -]{1,32}:(?! ?[)(\\]\\[/dp\\d])|^\\s*[\\[({<>*~|\\u3010]"
    ),
    # Menus, receipts and the instruction that our own texts have.
    (
        "\\b(reply|repl|text|txt|send|respond|answer|type|say|press"
        "|enter) (with )?(back )?(the word )?['\"]?(stop|end|quit|cancel|unsubscribe|help|info"
        "|start|yes|no|y|n|\\d)\\b(?! (text|sending|message))|\\b(reply"
        "|respond) (with )?\\w+ (to|for)\\b"
    ),
    (
        "\\b(replying|texting|sending|responding) (with )?['\"]?(stop|end|quit|cancel"
        "|unsubscribe)\\b"
    ),
    "\\b(stop|help|start|info|end)( ?[,/|] ?|,? or )(stop|help|start|info|end|quit)\\b",
    ("(msg|message) ?(and|&|\\+) ?data|(msg|message) freq\\w*|data rates|per month|\\bmsgs?/mo"),
    (
        "\\byou(ve| have| are| re|re| were| will| wont|ll)? (\\w+ )?(now |not |no longer |been "
        "|already |successfully |be )*(unsubscribed|subscribed|opted|enrolled|removed|receive"
        "|registered|signed up for)\\b"
    ),
    (
        "^\\W*(?!(i|ive|we|weve|im) )(\\w+ )?(unsubscribed|opted out|removed)\\b"
        "|\\bwill (not )?(\\w+ )?be (sent|delivered|read)\\b"
    ),
    # Other languages: a number or a message as what does something; who is away; receipts; menus.
    (
        "\\b(este|esta|esse|essa|el|la|o|a|su|seu|ce|cette|le|votre|diese[rs]?|die|das|dein\\w*"
        "|ihre?|questo|questa|il|dit|deze|het|ten|to|sa|se|nimewo) (\\w+ ){0,2}(numero|linea"
        "|linha|buzon|telefono|telefone|celular|caixa|correo|mensaje|mensagem|ligne|boite"
        "|message|messagerie|telephone|nummer|rufnummer|leitung|postfach|nachricht|anschluss"
        "|linea|casella|messaggio|lijn|bericht|numer|wiadomosc|sa a)\\b (que usted \\w+ "
        "|que \\w+ )?(\\w+ )?(no|nao|non|n|naccepte|nest|ne|nicht|ist|es|e|est|wird|is|nie|jest"
        "|pa|empfangt|hat|ha|a|foi|fue|recibe|recebe|riceve|accepte|solo|so|seulement|nur|kann"
        "|hebben|heeft|ya|ja|sera|esta|sirve|se|pertenece|pertence|appartient|gehort)\\b"
    ),
    (
        "no (responda|conteste)|nao responda|ne repondez pas|merci de ne|nicht antworten"
        "|antworten sie nicht|non risponder\\w*|niet (antwoorden|beantwoord\\w*|gelezen)"
        "|nie odpowiada\\w*|no se (revisa|lee|monitorea|atiende)"
    ),
    (
        "gracias por (su|tu|contactar|escribir|comunicar|llamar|preferir)\\w*|obrigad[oa] p(or"
        "|elo) (seu|sua|entrar|contat\\w+)|merci (de|pour) (votre|nous|avoir|contact\\w*)"
        "|(vielen dank|danke) fur (ihre|deine|die)|grazie per (aver|il|la|averci)\\w*"
        "|bedankt voor|dziekujemy|спасибо за|感谢您|感謝您|お問い合わせ|감사합니다"
    ),
    (
        "fuera de (la )?oficina|fora do escritorio|absent|absence|abwesen\\w*|fuori ufficio"
        "|afwezig|nieobecn\\w*|(vacaciones|licencia|ferias|licenca|conge|urlaub|ferie|vakantie"
        "|urlop\\w*|отпуск\\w*|休假|nghi phep)\\b|manejando|conduciendo|dirigindo|conduis|volant"
        "|fahre|am steuer|guidando|rijden|za kierownica|за рулем|开车|開車|運転中|운전|lai xe"
        "|nagmamaneho"
    ),
    (
        "\\b(oficina|officina|horario|cerrad[oa]s?|fechad[oa]s?|ferme|fermee?s?|bureau"
        "|geschlossen|chius[oi]|gesloten|zamkniet\\w+|sprechzeiten|offnungszeiten|horaires?"
        "|emergencia|urgence|urgencia|notfall|urgente|suscriptor|assinante|abonne|teilnehmer"
        "|abonent|destinatari\\w*|destinataire|empfanger|entregad[oa]|empresa|entregue"
        "|distribue|zugestellt|consegnato|dostarczon\\w+|bezorgd|contestaremos|responderemos"
        "|repondrons)\\b"
    ),
    (
        "\\b(ha sido|foi|fue|sera|a ete|wurde|wurden|e stato|zostal\\w*|has quedado|esta"
        "|usted) (\\w+ )?(dad[oa]|eliminad[oa]|cancelad[oa]|suscrit[oa]|descadastrad[oa]"
        "|desinscrit\\w*|desabonne\\w*|abgemeldet|entfernt|rimoss[oa]|usuniet\\w+|bloquead[oa]"
        "|bloque|blockiert|removid[oa])|no recibira|uitgeschreven|uitgelogd|отписан\\w*|退订|退訂"
        "|配信停止|수신거부|huy dang ky|no estoy\\b|parei de usar|deje de usar|nao recebera"
        "|vous ne recevrez|sie erhalten|non ricevera"
    ),
    (
        "\\b(responda|responde|envie|envia|escriba|texte|mande|repondez|envoyez|antworten sie"
        "|sende(n sie)?|rispondi|invia|stuur|antwoord|odpowiedz|wyslij|отправьте|ответьте|回复|回覆"
        "|返信|nhan tin|soan|i-?text) (\\w+ ){0,3}['\"]?(stop|alto|baja|sair|pare|arret|parar"
        "|salir|cancelar?|fin|huy|tigil|стоп)\\b"
    ),
    (
        "(этот|этого|данный) номер|(номер|абонент|сообщени\\w+|линия) (\\w+ )?(не|только"
        "|больше)|абонент\\w*|не отвечайте"
    ),
    "(此|该|該|本|這個|这个)(号码|號碼|短信|简讯|簡訊|信息|邮箱|線路|线路)|请勿|請勿|送信専用|この番号|返信しない|受信|不接收|系统|系統",
    "이 ?번호|수신|발신|전용|고객|답장하지",
    "so nay|tin nhan nay|vui long khong|he thong|tong dai|hop thu",
    (
        "numerong ito|itong numero|hindi (na )?(tumatanggap|binabasa|ginagamit|mino)\\w*"
        "|nimewo sa a|pa resevwa|هذا الرقم|יש לך"
    ),
    # Reactions: a phone tells of somebody, in the past.
    (
        "^\\W*(?!(i|ive|we|weve|im|please) )(\\w+ ){0,2}(liked|loved|disliked|laughed"
        "|emphasi[sz]ed|questioned|reacted|removed|added|tapped|marked|stickered|hearted"
        "|replied with|curtiu|amou|gostou|reagiu|reaccion\\w+|reagi|reagito|reagiert"
        "|reageerde|zareagowal\\w*)\\b"
    ),
    "^\\W*[^\\w\\s\"'(\\[*#@.,!?-]{1,12} (to|a|an|auf|su|em|para|pour|op|na|sa|на) ",
)
"""What makes a text one that a machine may have written."""
