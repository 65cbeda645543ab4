"""Signs that a text is written to steer whoever reads it, rather than to tell something.

Signs of the kinds that Greshake et al. describe ("Not what you've signed up for: Compromising
Real-World LLM-Integrated Applications with Indirect Prompt Injection", AISec 2023): orders that
void earlier ones, roles and prompts played, secrecy towards the user, data sent away, orders to the
memory itself, hidden characters. A score is no proof, and no score is no proof of the contrary:
what is suspicious is put aside for somebody to look at, never deleted. English.
"""

from __future__ import annotations

import re

from memos.admission.junk import Sign, joined


def injection(text: str) -> tuple[float, tuple[str, ...]]:
    """The score in [0, 1], and the signs behind it."""
    return joined(text, _SIGNS)


def _sign(name: str, weight: float, pattern: str) -> Sign:
    compiled = re.compile(pattern, re.IGNORECASE)
    return name, weight, lambda text: bool(compiled.search(text))


# Zero width, direction overrides, and the tag characters that mirror ASCII unseen.
_HIDDEN = frozenset(
    map(chr, [0x200B, 0x2060, 0x2062, 0x2063, *range(0x202A, 0x202F), *range(0xE0020, 0xE007F)])
)

_SIGNS: tuple[Sign, ...] = (
    _sign(
        "it voids earlier instructions",
        0.7,
        r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:previous|prior|above|earlier|all"
        r"|your|system|the)\b.{0,20}\b(?:instructions?|rules?|prompts?|guidelines?|polic(?:y|ies)"
        r"|messages?|context)\b",
    ),
    _sign(
        "it gives the reader another role",
        0.5,
        r"\byou are (?:now|no longer)\b|\b(?:act|behave|respond) as (?:if|though|an? (?:un|root|"
        r"admin|developer))|\b(?:developer|god|dan|jailbreak) mode\b",
    ),
    _sign(
        "it plays a prompt's roles",
        0.6,
        r"<\|(?:im_start|im_end|system|endoftext)\|>|\[/?(?:INST|SYS)\]|<</?SYS>>"
        r"|^\s*#{0,3}\s*(?:system|assistant)\s*(?:prompt|message)?\s*:",
    ),
    _sign(
        "it asks for secrecy",
        0.5,
        r"\b(?:do not|don'?t|never)\b.{0,20}\b(?:tell|inform|mention|reveal|show)\b.{0,30}"
        r"\b(?:user|human|anyone|operator)\b|\bwithout (?:telling|informing|asking) the user\b",
    ),
    _sign(
        "it asks for secrets",
        0.6,
        r"\b(?:reveal|print|output|repeat|leak|show)\b.{0,30}\b(?:system prompt"
        r"|hidden instructions?|api keys?|passwords?|credentials?|secrets?)\b",
    ),
    _sign(
        "it sends data away",
        0.5,
        r"\b(?:send|forward|post|upload|exfiltrate|e-?mail)\b.{0,60}(?:https?://|@[\w.-]+\.\w)",
    ),
    _sign(
        "it orders what is to be remembered",
        0.5,
        r"\b(?:remember|store|save|memori[sz]e|add to (?:your )?memory)\b.{0,30}\b(?:always"
        r"|that you|from now on|permanently|as (?:a )?(?:fact|truth|rule))\b",
    ),
    (
        "it hides characters",
        0.6,
        lambda text: any(char in text for char in _HIDDEN),
    ),
)
