"""Text that is there to be worked on, or is taken back at once: what it says is nobody's statement.

Knows the wording alone, no parse.
"""

from __future__ import annotations

import re

_TASK = re.compile(
    r"^\W*(?:(?:please|(?:can|could|would)\s+you|now|pls|kindly)\s+)*"
    r"(?:translate|rewrite|rephrase|reword|paraphrase|summari[sz]e|proofread|edit|shorten|polish"
    r"|improve|complete|continue|classify|parse|extract|analy[sz]e|example|sample|e\.g\."
    r"|quote|lyrics|excerpt|template|fix\s+(?:the\s+)?(?:grammar|spelling|typos|wording)"
    r"|correct\s+(?:the\s+)?(?:grammar|spelling|sentence|text))\b[^:\n]{0,80}:(?!//)",
    re.I,
)
_INK = re.compile(r"\S")
_BLANK = re.compile(r"\n[^\S\n]*\n")
_TAKEN_BACK = re.compile(
    r"\b(?:just|only)\s+(?:kidding|joking|teasing)\b|^\W*(?:jk|j/k)\b|\bi(?:'m|\s+am|\s+was)\s+"
    r"(?:just\s+|only\s+)?(?:kidding|joking|lying)\b|\b(?:that|this|it|which)(?:'s|\s+is|\s+was)"
    r"(?:\s+not|n't|\s+simply\s+not)\s+(?:\w+\s+)?true\b(?!\s+that\b)|\b(?:that|this|it|which)\s+(?:isn't|wasn't)"
    r"\s+(?:\w+\s+)?true\b(?!\s+that\b)|\bbut\s+(?:he|she|they)(?:'s|'re|\s+is|\s+are|\s+was|\s+were)\s+"
    r"(?:just\s+|only\s+)?(?:lying|joking|kidding|pretending)\b",
    re.I,
)


def material(text: str) -> tuple[int, int]:
    """From which character to which the text is material for a task ("Translate to Spanish: …"), or
    an example: to the end of the paragraph. Empty if there is none."""
    found = _TASK.match(text)
    if found is None:
        return 0, 0
    begun = _INK.search(text, found.end())
    blank = None if begun is None else _BLANK.search(text, begun.start())
    return found.end(), len(text) if blank is None else blank.start()


def takes_back(sentence: str) -> bool:
    """Whether it voids itself and the sentence before: "just kidding", "but that's not true"."""
    return _TAKEN_BACK.search(sentence) is not None
