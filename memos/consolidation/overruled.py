"""Instructions that a later one of the same speaker overrules: the opposite, another language to
answer in, another name to be called by.

Only what can be told by its words: whether "use tabs" overrules "use dark mode" is not. Rules for
English. Pure; knows no store.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from memos.consolidation.wants import is_instruction
from memos.consolidation.wording import wording
from memos.protocols import Held
from memos.retrieval.reading.analysis import fold
from memos.types import Memory

_WHENEVER = r"(?:from now on|in (?:the )?future|going forward|next time|always)"
_ORDER = re.compile(
    rf"\W*(?:(?:please|ok|okay|and|but|{_WHENEVER})\W+)*"
    r"(?P<not>(?:never|don'?t|do not|stop|avoid|no longer)\W+)?"
    rf"(?:(?:ever|{_WHENEVER})\W+)?(?P<what>[^.!?\n]{{3,120}}?)"
    rf"(?:\W+(?:please|{_WHENEVER}|any ?more|any longer|again|instead))*\W*"
)
_LANGUAGE = re.compile(
    r"(?:answer|reply|respond|write|speak|talk|communicate)(?:ing)?(?: back)?(?: to me)?"
    r"(?: only)? in (?P<value>[a-z]+)"
)
_NAME = re.compile(
    r"(?:call|address|calling|addressing) me (?:as )?(?P<value>[\w'-]+(?: [\w'-]+){0,2})"
)
_NO_NAMES_TEXT = """
    when whenever if before after at on in by about once every each back later tomorrow today
    tonight again for to with from until unless first out up only while during as soon next right
    now more
"""
_NO_NAMES = frozenset(_NO_NAMES_TEXT.split())
_LANGUAGES_TEXT = """
    arabic bengali bulgarian cantonese catalan chinese croatian czech danish dutch english
    estonian finnish french german greek hebrew hindi hungarian icelandic indonesian irish italian
    japanese korean latin latvian lithuanian malay mandarin norwegian persian polish portuguese
    romanian russian serbian slovak slovenian spanish swahili swedish tamil thai turkish ukrainian
    urdu vietnamese welsh
"""
_LANGUAGES = frozenset(_LANGUAGES_TEXT.split())


@dataclass(frozen=True, slots=True)
class Order:
    """What an instruction is about; which `value` it wants there, if one excludes another; and
    whether it is forbidden. It overrules what was wanted before, if that had another value, and
    the opposite of the same."""

    topic: tuple[str, ...]
    value: str
    forbidden: bool


def order_of(memory: Memory) -> Order | None:
    """None for what is no instruction, or more than one."""
    if not is_instruction(memory):
        return None
    found = _ORDER.fullmatch(fold(memory.content))
    if found is None:
        return None
    what, forbidden = found["what"], found["not"] is not None
    if (language := _LANGUAGE.fullmatch(what)) and language["value"] in _LANGUAGES:
        return Order(("language",), language["value"], forbidden)
    if (name := _NAME.fullmatch(what)) and not _NO_NAMES & set(name["value"].split()):
        return Order(("name",), name["value"], forbidden)
    said = wording(what).words
    if len(said) < 2:
        return None
    verb = said[0].removesuffix("ing").removesuffix("e")  # "use", "stop using"
    return Order((verb, *said[1:]), "", forbidden)


def overruled(held: Sequence[Held]) -> Mapping[str, Held]:
    """By id of those that no longer stand: the last one that overrules them."""
    given: dict[tuple[str | None, ...], list[tuple[datetime, int, Order, Held]]] = defaultdict(list)
    for item in held:
        memory = item.memory
        if (order := order_of(memory)) is not None:
            scope = (memory.user_id, memory.agent_id, memory.speaker, *order.topic)
            at = memory.occurred_at or memory.created_at
            given[scope].append((at, memory.position, order, item))
    found: dict[str, Held] = {}
    for orders in given.values():
        orders.sort(key=lambda one: one[:2])
        found |= _overruled([(order, item) for _, _, order, item in orders])
    return found


def _overruled(orders: Sequence[tuple[Order, Held]]) -> dict[str, Held]:
    """Of orders on one topic, the oldest first. O(n): from the last one back, with the last of each
    value, wanted and forbidden, and the last two wanted values."""
    last: dict[tuple[str, bool], tuple[int, Held]] = {}
    wanted: list[tuple[str, tuple[int, Held]]] = []
    found = {}
    for number in reversed(range(len(orders))):
        order, item = orders[number]
        later = [last.get((order.value, not order.forbidden))]
        if not order.forbidden:
            later += [one for value, one in wanted if value != order.value][:1]
        standing = [one for one in later if one is not None]
        if standing:
            found[item.memory.id] = max(standing, key=lambda one: one[0])[1]
        here = last.setdefault((order.value, order.forbidden), (number, item))
        if not order.forbidden and here[0] == number and len(wanted) < 2:
            wanted.append((order.value, here))
    return found
