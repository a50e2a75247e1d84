"""Whether something said earlier in a conversation asks for a form of what is answered later.

A client may say once that all answers are to be in German, as JSON, or by a pirate. Neither an
exact answer nor one put together from several would heed it, so such conversations are a model's.
In doubt something is a wish: one that is overlooked spoils an answer, one too many costs some time.
Yet most that is said is no wish: `don't` and `stop` count where they command, and `you are` where
it gives a part to play.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from octomil.routing.cues import CuedPattern
from octomil.routing.features import text_of
from octomil.routing.imperatives import word_set
from octomil.routing.masking import mask
from octomil.routing.qualifiers import LANGUAGES

MAX_CHARS = 8_000
"""What is read of a conversation; one that is longer is taken to hold a wish."""

MAX_MESSAGES = 1_000
"""How many messages of a conversation are looked at; the same holds for one that has more."""

# Where a command may begin: at the start of a clause, after whatever is polite. A mark or a space
# comes first in any case, since what begins with a set of characters is searched for much faster.
_COMMAND = r"""[\s.!?;:,(*\u2013-](?:(?<!\ )|(?:and|but|then|so|or)\b)[\s*_]{0,8}
    (?:(?:
        hi|hello|hey|ok|okay|thanks|thank\ you|now|then|and|but|so|also|again|please|pls|kindly
      | (?:do|would)\ you\ mind|(?:can|could|would|will)\ (?:you|we)|why\ don't\ you
      | let(?:'s|\ us)|try\ to|remember(?:\ to)?|make\ sure(?:\ to|\ that\ you|\ you)?
      | i(?:'d|\ would)\ like\ you\ to|i\ (?:want|need|expect)\ you\ to|i\ (?:want|would\ like)
      | is\ it\ (?:ok|okay|possible|fine)\ (?:to|for\ you\ to|if\ you)
      | you\ (?:must|should|shall|will|may|can|have\ to|need\ to|are\ to)|bitte|por\ favor
      | (?:imagine|suppose|assume)(?:\ that)?|in\ (?:the\ )?future|today|here
    )(?![\w'])[\s,!]{0,8}){0,4}+(?=\w)
    (?!(?:how|what|who|why|where|which|is|are|was|i|it|the|there|this|that|we|they|my)\b)"""
_FORMATS = (
    "json|yaml|xml|html|csv|markdown|latex|emojis?|roman|words|digits|uppercase|lowercase"
    "|(?:capital|block)\\ letters|capitals|rhymes?|verse|prose|bullets?|metric"
)
_TONGUES = (
    LANGUAGES.removesuffix(")").removeprefix("(?:")
    + "|deutsch|englisch|franz\u00f6sisch|fran\u00e7ais|anglais|espa\u00f1ol|ingl\u00e9s|italiano"
    + "|portugu\u00eas|nederlands|svenska|polski"
)
_COURTESY = r"(?:[ ,]{1,4}(?:please|pls|only|por\ favor|bitte|svp|s'il\ (?:te|vous)\ pla\u00eet))"
_ANSWERS = r"(?:answer|reply|replie|response|output)s?"
_END = r"\s*(?=$|[.!?;:,)\n])"
_COMMANDS = rf"""
    (?:(?:answer|reply|respond|speak|talk)(?:ing)?|continue|continuing|chat|chatting)
      \ (?:[\w']+\ ){{0,4}}?(?:in|as|with|like|using|without|only|just|briefly|{_TONGUES})\b
  | (?:write|text|say|tell|give|return|output|show|print|put|phrase|express|do)
      \ (?:[\w']+\ ){{0,3}}?(?:(?:in|as|with|without|using|only|just)\ |twice\b)
  | (?:give|make|keep|write|format|begin|start|end|finish|limit|put|prefix|sign|translate|return
      |shorten)\ (?:[\w']+\ ){{0,4}}?(?:{_ANSWERS}|messages?|sentences?)\b
  | keep\ (?:it|them|this|that|everything|things)\ \w
  | be\ (?!(?:right\ )?back\b|there\b)\w
  | (?:act|behave|pose)\ (?:as|like)\b | pretend\b | role-?play | play\ (?:the|an?|my)\b
  | call\ (?:me|yourself)\b | your\ (?:name|role|job|task)\ is\b
  | (?:switch|change|stick)\ (?:to|with|from)\b
  | use\ \w | avoid\ \w | no\ more\ \w
  | (?:don't|do\ not|dont)\ (?!(?:you|we|i|they|worry|mind|panic|know|think|understand|care)\b)\w
  | stop(?:ping)?\ (?:\w+ing|it|that|this|with|all|the)\b
  | (?:always|never)\ (?!mind\b|heard\b|been\b|again\b|\w+ed\b)\w
  | (?:only|just)
      \ (?:answer|reply|respond|speak|use|give|say|output|return|write|be|{_TONGUES})\b
  | (?:when|if|whenever|once|each\ time|every\ ?time)(?:ever)?\ i
      \ (?:say|ask|write|type|give|send|tell|enter|paste|post)\b
  | (?:each\ time|every\ ?time|whenever)\ (?:i|you)\b
  | (?:you|u)(?:'re|\ are)\ (?:now\b|going\ to\ be\b|called\b|named\b|playing\b
      |(?:an?|the|my|our)\ (?!(?:best|greatest|star|legend|genius|lifesaver|life\ saver|angel)\b)
      |(?-i:[A-Z])\w)
  | (?:you|u)\ (?:act|play)\b
  | (?:no|without|in|as|auf|en)\ (?!(?:problem|idea|thanks|way|worries|need|one)\b)
      \w+{_COURTESY}*{_END}
  | (?:only|in|as|auf|en)\ (?:[\w-]+\ ){{0,3}}(?:{_TONGUES}|{_FORMATS}|sentences?|words?|lines?
      |terms|lists?)\b{_COURTESY}*{_END}
  | (?:{_TONGUES}|{_FORMATS}){_COURTESY}+{_END}
  | (?:short|brief|long|shorter|longer|concise|detailed|quick|simple)\ {_ANSWERS}\b
  | (?:sprich|schreib|rede|parle[zr]?|habla|escribe|parla|scrivi|spreek|praat|fale|escreva|sois
      |soyez|sei)\b
"""
"""What a clause that tells the model how to answer begins with: a manner, a part, a form."""

_RULES = rf"""(?<!\w)(?:
    (?:from|starting)\ (?:now|here|this\ point)\b | as\ of\ now\b
  | henceforth\b | hereafter\b
  | going\ forward\b | for\ the\ rest\ of\b | until\ (?:i|you|we)\b
  | (?:ab\ (?:jetzt|sofort) | von\ nun\ an | d\u00e9sormais | dor\u00e9navant | a\ partir\ de
    | d'ora\ in\ poi | vanaf\ nu)\b
  | (?:antworten?|antworte|antwoord|r\u00e9pon(?:ds|dez|dre)|respond(?:e|a|an|ez)
    |rispond(?:i|ete)|svara?)\ (?:[\w']+\ ){{0,4}}?
    (?:auf|in|en|na|p\u00e5|als)\b
  | (?<!my\ )(?:your|all|every|each|any|further|following|future|next)\ (?:\w+\ )?{_ANSWERS}
    \ (?:\w+\ ){{0,3}}?(?:in|as|with|without|should|must|have|has|to\ be|are\ to|short|brief|only)\b
  | (?:everything|anything|whatever|all)\ (?:that\ )?(?:i|you)
    \ (?:say|write|type|send|ask|give|answer|tell|enter|paste|post|reply)\b
  | (?:every|each|all|any)\ (?:\w+\ )?(?:messages?|results?|numbers?|sentences?)
    \ (?:must|should|shall|has\ to|have\ to|needs?\ to|is\ to|are\ to)\b
)"""
"""A rule for the time to come, and a property of all answers."""

_CUES = word_set(
    """
    answer answering reply replying respond responding speak speaking talk talking continue chat
    continuing chatting write text say tell give return output show print put phrase express do
    make keep format begin start end finish limit prefix sign translate shorten be act behave pose
    pretend role roleplay play call your switch change stick use avoid no don dont stop stopping
    always never only just when whenever if once each every everytime you u without in as auf en
    short brief long shorter longer concise detailed quick simple sprich schreib rede parle parler
    parlez habla escribe parla scrivi spreek praat fale escreva sois soyez sei
    any further following future please pls por bitte svp il for now
    """
)
_RULE_CUES = word_set(
    """
    now here point henceforth hereafter forward rest until jetzt sofort nun sormais navant partir
    ora vanaf antwort antworte antworten antwoord ponds dez pondez pondre responde responda
    respondan respondez rispondi rispondete svar svara answer answers reply replys replie replies
    response responses output outputs message messages result results number numbers sentence
    sentences everything anything whatever all
    """
)
_COMMAND_WISH = CuedPattern(_CUES, f"{_COMMAND}(?:{_COMMANDS})")
_RULE_WISH = CuedPattern(_RULE_CUES, _RULES)


def bend_later_answers(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether a user's message before the last one asks for a form of the answers.

    The work is bounded: what is too long to be read counts as a wish.

    Args:
        messages: OpenAI-style messages, oldest first.

    >>> earlier = {"role": "user", "content": "From now on answer in German."}
    >>> bend_later_answers([earlier, {"role": "user", "content": "What is 2+2?"}])
    True
    """
    if len(messages) > MAX_MESSAGES:
        return True
    left = MAX_CHARS
    said: list[str] = []
    for message in messages[:-1]:
        if message.get("role") == "user":
            content = message.get("content") or ""
            if len(content) > left:  # as many characters, or parts
                return True
            said.append(text_of(content))
            left -= len(said[-1])
    return asks_for_a_form("\n".join(said))


def asks_for_a_form(text: str) -> bool:
    """Tell whether a text may ask for a form or a language of what is answered later.

    >>> asks_for_a_form("in German, please"), asks_for_a_form("You are right, thanks.")
    (True, False)
    """
    if len(text) > MAX_CHARS:
        return True
    plain = "\n" + text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return _is_wish(plain) and _is_wish(mask(plain))


def _is_wish(text: str) -> bool:
    return _RULE_WISH.matches(text) or _COMMAND_WISH.matches(text)
