"""Real prose that is wherever Python is: sentences of the language reference.

It ships with every interpreter as `pydoc_data.topics`, so a benchmark of language models needs no
data set. Lines of code and tables are left out.
"""

from __future__ import annotations

import re

_SENTENCE = re.compile(r"(?<=[.])\s+(?=[A-Z])")
_PLAIN = re.compile(r"[A-Za-z0-9 ,.;:'’“”()\"-]+")
LENGTHS = range(60, 220)
"""Characters of a sentence: shorter and longer ones are mostly remains of markup."""


def sentences() -> list[str]:
    """All of them, in the order of the topics; about 800, 20,000 tokens."""
    from pydoc_data import topics

    text = " ".join(topics.topics[name] for name in sorted(topics.topics))
    found = (re.sub(r"\s+", " ", part).strip() for part in _SENTENCE.split(text))
    return [
        part
        for part in found
        if len(part) in LENGTHS and part[0].isupper() and part[-1] == "." and _PLAIN.fullmatch(part)
    ]
