"""What a text names: entities with type and place, the recogniser's common errors mended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from memos.extraction.rules.lexicon import COUNTRIES, GREETINGS, RELATIONS
from memos.extraction.rules.phrases import entity_type, is_name, name_span
from memos.types import MentionDraft, Ref

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span

_LONGEST = 80
_ABSTRACT = frozenset({"i", "god", "lol", "omg", "mr", "mrs", "ms", "dr", "xoxo", "fyi", "btw"})


def mentions(
    doc: Doc, offset: int, places: dict[int, tuple[Ref, int, int]], known: dict[str, str]
) -> Iterator[MentionDraft]:
    """First what the rules have read (their slot tells the type), then other names."""
    taken: set[int] = set()
    end = len(doc.text)
    typed = {ref.name.casefold(): ref.type for ref, _, _ in places.values()}
    for ref, start, stop in places.values():
        if offset <= start and stop <= offset + end:
            taken.update(range(start, stop))
            yield MentionDraft(ref=ref, start=start, end=stop)
    for span in _spans(doc):
        start, stop = span.start_char + offset, span.end_char + offset
        if start in taken or stop - 1 in taken:
            continue
        found = _ref(span, known, typed)
        if found is not None:
            taken.update(range(start, stop))
            yield MentionDraft(ref=found, start=start, end=stop)


def _spans(doc: Doc) -> Iterator[Span]:
    for entity in doc.ents:
        if entity_type(entity.label_) is not None:
            yield _trimmed(entity)
    for token in doc:
        alone = token.ent_type_ == "" and token.dep_ != "compound"
        if alone and token.tag_.startswith("NNP") and is_name(token):
            yield name_span(token)


def _trimmed(span: Span) -> Span:
    """Without the article before and the possessive after."""
    start, end = span.start, span.end
    doc = span.doc
    while start < end - 1 and (
        doc[start].lower_ in ("the", "a", "an")
        or doc[start].lower_ in GREETINGS
        or doc[start].lower_ in RELATIONS
        or doc[start].is_punct
    ):
        start += 1
    while end - 1 > start and (doc[end - 1].text in ("'s", "'") or doc[end - 1].is_punct):
        end -= 1
    return doc[start:end]


def _ref(span: Span, known: dict[str, str], typed: dict[str, str]) -> Ref | None:
    text = span.text.strip()
    low = text.casefold()
    if not text or len(text) > _LONGEST or low in _ABSTRACT or low in GREETINGS:
        return None
    if not any(c.isalpha() for c in text) or (text[0].islower() and low not in known):
        return None
    if low in known:
        return Ref(name=known[low], type="person")
    if low in typed:
        return Ref(name=text, type=typed[low])
    if low in COUNTRIES:
        return Ref(name=text, type="country")
    label = span.root.ent_type_
    return Ref(name=text, type=entity_type(label) or "thing")
