"""Whether the words around a date speak of the past or of what is to come.

No parser: the nearest marker in the sentence decides, the preceding one before the following one,
unless the date opens its clause. It knows verbs by form (irregular ones by list).
"""

from __future__ import annotations

from enum import Enum

from memos.extraction.times.tokens import Tokens
from memos.extraction.times.words import bag

REACH = 24


class Tense(Enum):
    PAST = "past"
    PERFECT = "perfect"
    PRESENT = "present"
    FUTURE = "future"
    NONE = "none"


# fmt: off
_STOPS = frozenset(".!?;\n…")
_OPENERS = bag(", and but so because then or - – — ( : that")
_LEADS = bag(
    "on in at by the early late mid this last next of around about since until till before after"
    " for during over from back sometime maybe probably just"
)
_FUTURE = bag(
    "will 'll shall gonna wanna plan plans planning hope hopes hoping want wants wish lets"
    " should could would must might may upcoming soon tomorrow tonight can cannot gotta expect"
    " expecting expected excited scheduled scheduling due intend intends aim aiming ready need"
    " needs deadline invited booked looking"
)
_PRESENT = bag("am is are 'm 're do does don doesn isn aren")
_HAVE = bag("have has 've haven hasn having")
_SUBJECTS = bag("i you he she it we they that there what who this here")
_PAST = bag(
    "was were wasn weren did didn had hadn went got came saw made took met bought brought found"
    " gave told said thought knew felt left lost kept began started became ran ate drank drove"
    " flew fell fought forgot grew heard held hid laid led lent lit meant paid"
    " rode rang rose sang sat sold sent shook shot slept slid spoke spent stood stole swam taught"
    " threw understood woke wore won wrote broke built burnt caught chose dealt dug drew fed"
    " froze hung learnt dreamt wound snuck bit blew bent bound bred froze"
    " sank shrank sped stuck struck swore swept swung tore wept"
)
_NO_PAST = bag(
    "need feed seed speed bed red excited interested tired scared worried bored pleased relaxed"
    " amazed thrilled indeed weed bleed breed succeed exceed proceed wed sled shed hundred kindred"
    " naked sacred wicked beloved stressed exhausted overwhelmed motivated determined dedicated"
    " embed biased med rated used zed ted fred ned jed mohamed ahmed"
)
_PARTICIPLES = bag(
    "been done gone had seen made taken met known lived come become bought found given told said"
    " thought felt left lost kept begun run eaten driven flown fallen grown heard held paid read"
    " ridden sold sent slept spoken spent stood taught thrown understood worn won written broken"
    " built caught chosen cut dealt drawn fed got gotten hit hurt put quit set"
)
# fmt: on


def tense_at(tokens: Tokens, first: int, after: int) -> Tense:
    """The tense of what stands around tokens `first` up to `after`."""
    lead = first - 1
    while tokens.word(lead) in _LEADS:
        lead -= 1
    opening = lead < 0 or tokens.word(lead) in _OPENERS or tokens.word(lead) in _STOPS
    before, behind = (lead, -1), (after, 1)
    for start, step in (behind, before) if opening else (before, behind):
        found = _scan(tokens, start, step)
        if found is not Tense.NONE:
            return found
    return Tense.NONE


def _scan(tokens: Tokens, i: int, step: int) -> Tense:
    for at in range(i, i + REACH * step, step):
        word = tokens.word(at)
        if not word or (word in _STOPS and not tokens.joined(at + 1)):
            return Tense.NONE
        found = _marker(tokens, at)
        if found is not Tense.NONE:
            return found
    return Tense.NONE


def _marker(tokens: Tokens, i: int) -> Tense:
    """What the token at `i` says by itself and its neighbours."""
    word = tokens.words[i]
    previous = tokens.word(i - 1)
    if word == "going" and tokens.word(i + 1) == "to" and previous not in {"was", "were"}:
        return Tense.FUTURE
    if word in _FUTURE:
        return _FUTURE_OF_PAST.get(previous, Tense.FUTURE)
    if word in _HAVE or (word in {"'s", "'d"} and _participle(tokens, i)):
        return _have(tokens, i)
    if word == "'s" and (previous in _SUBJECTS or previous == "let"):
        return Tense.FUTURE if previous == "let" else Tense.PRESENT
    if word in _PAST or word == "used":
        return _past(tokens, i)
    if len(word) > 3 and word.endswith("ed") and word not in _NO_PAST:
        return _past(tokens, i)
    if word.endswith("ing") and _carried(tokens, i) is Tense.PRESENT:
        return Tense.FUTURE
    if word in _PRESENT:
        return _present(tokens, i)
    return Tense.NONE


_FUTURE_OF_PAST = {"was": Tense.PAST, "were": Tense.PAST, "had": Tense.PAST, "did": Tense.PAST}


def _carried(tokens: Tokens, i: int) -> Tense:
    """The form of "to be" up to three words before a participle."""
    for at in range(i - 1, i - 4, -1):
        word = tokens.word(at)
        if word in {"am", "is", "are", "'m", "'re", "isn", "aren", "im"}:
            return Tense.PRESENT
        if word == "'s" and tokens.word(at - 1) in _SUBJECTS:
            return Tense.PRESENT
        if word in {"was", "were", "been"}:
            return Tense.PAST
    return Tense.NONE


def _past(tokens: Tokens, i: int) -> Tense:
    """A past form: after "have" it is perfect, after "is" an adjective or a plan."""
    for at in range(i - 1, i - 3, -1):
        word = tokens.word(at)
        if word in _HAVE:
            return Tense.PERFECT
        if word in {"am", "is", "are", "'m", "'re", "be", "get", "gets", "getting"}:
            return Tense.PRESENT
    if tokens.word(i - 1) in {"to", "will", "'ll", "can", "should", "would"}:
        return Tense.FUTURE
    return Tense.PAST


def _have(tokens: Tokens, i: int) -> Tense:
    if tokens.words[i] == "'d":
        return Tense.PAST
    if tokens.word(i + 1) == "to":
        return Tense.FUTURE
    return Tense.PERFECT if _participle(tokens, i) else Tense.PRESENT


def _participle(tokens: Tokens, i: int) -> bool:
    """Whether a participle follows within three words: "has not yet been"."""
    for at in range(i + 1, i + 4):
        word = tokens.word(at)
        if word in _PARTICIPLES or (len(word) > 3 and word.endswith("ed") and word not in _NO_PAST):
            return True
        if word in {"to", "a", "an", "the", ",", "."}:
            return False
    return False


def _present(tokens: Tokens, i: int) -> Tense:
    """A form of "to be" or "to do"; with a participle in -ing behind it a plan."""
    for at in range(i + 1, i + 4):
        word = tokens.word(at)
        if (
            len(word) > 4
            and word.endswith("ing")
            and word not in {"thing", "something", "anything"}
        ):
            return Tense.FUTURE
        if word == "been":
            return Tense.PERFECT
    return Tense.PRESENT
