"""Conversations and questions in LoCoMo's format (Maharana et al., ACL 2024), read as found.

Knows the format and its flaws: evidence ids that are run together or misspelt, turns without text,
questions whose evidence names no turn. The search words that were used to find an image (`query`)
are never read: answers leak from them. Knows nothing of retrieval.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import memos
from memos.errors import InvalidInput
from memos.types import Image, NewMemory, Provenance

CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
"""By the numbers in the data; some tools print these names permuted."""

SAMPLE = Path(memos.__file__).parent / "data" / "sample_conversation.json"

_SESSION = re.compile(r"session_(\d+)\Z")
# "D8:6", and as found in the data "D8:6; D9:17", "D9:1 D4:4", "D:11:26", "D30:05".
_EVIDENCE = re.compile(r"D\s*:?\s*(\d+)\s*:\s*(\d+)", re.IGNORECASE)
_TIMES = ("%I:%M %p on %d %B, %Y", "%d %B, %Y")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One thing said. `dia_id` is `D<session>:<number>`; times are taken to be UTC."""

    dia_id: str
    session: int
    speaker: str
    text: str
    caption: str | None
    image_urls: tuple[str, ...]
    said_at: datetime

    @property
    def words(self) -> str:
        """The text with the caption of its image: all that may be searched."""
        return f"{self.text} {self.caption}".strip() if self.caption else self.text

    def as_memory(self) -> NewMemory:
        urls: Sequence[str | None] = self.image_urls or ([None] if self.caption else [])
        return NewMemory(
            content=self.text,
            speaker=self.speaker,
            session_id=f"session-{self.session}",
            occurred_at=self.said_at,
            images=tuple(
                Image(url=url, caption=None if number else self.caption)
                for number, url in enumerate(urls)
            ),
            provenance=Provenance(source="locomo", external_id=self.dia_id),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """`number` is its place in the conversation; `evidence` are dia_ids of turns that exist."""

    conversation: str
    number: int
    text: str
    category: int
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """A question that can't be scored, and why."""

    conversation: str
    number: int
    category: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    id: str
    turns: tuple[Turn, ...]
    questions: tuple[Question, ...]
    excluded: tuple[Exclusion, ...]
    repaired: int
    """Questions with an evidence id that is not of the form `D1:2`, or that names no turn beside
    others that do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    file: Path
    sha256: str
    conversations: tuple[Conversation, ...]

    @property
    def questions(self) -> list[Question]:
        return [question for each in self.conversations for question in each.questions]


def read(path: Path, *, limit: int | None = None) -> Dataset:
    """The file's conversations (the first `limit`). InvalidInput says what is wrong, and where."""
    try:
        raw = path.read_bytes()
        data = json.loads(raw)
    except OSError as error:
        raise InvalidInput(f"can't read {path}: {error.strerror}") from error
    except ValueError as error:
        raise InvalidInput(f"{path} is not JSON: {error}") from error
    if not isinstance(data, list) or not data:
        raise InvalidInput(f"{path} must hold a list of conversations in LoCoMo's format")
    conversations = []
    for number, sample in enumerate(data[:limit]):
        try:
            conversations.append(_conversation(sample, number))
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidInput(
                f"conversation {number} of {path} is not in LoCoMo's format: "
                f"{type(error).__name__} {error}"
            ) from error
    return Dataset(
        file=path, sha256=hashlib.sha256(raw).hexdigest(), conversations=tuple(conversations)
    )


def evidence_ids(text: str) -> tuple[str, ...]:
    """The turn ids in one entry of `evidence`, well-formed: `D:11:26` → `D11:26`, `D30:05` →
    `D30:5`, `D8:6; D9:17` → both, `D` → none."""
    return tuple(f"D{int(session)}:{int(turn)}" for session, turn in _EVIDENCE.findall(text))


def said_at(text: str) -> datetime:
    """`1:56 pm on 8 May, 2023` as a time; InvalidInput for another form."""
    for form in _TIMES:
        try:
            return datetime.strptime(text.strip(), form).replace(tzinfo=timezone.utc)
        except ValueError:
            continue
    raise InvalidInput(f"{text!r} is not a session time such as '1:56 pm on 8 May, 2023'")


def _conversation(sample: Mapping[str, Any], number: int) -> Conversation:
    name = str(sample.get("sample_id") or f"conversation-{number + 1}")
    turns = _turns(sample["conversation"])
    known = {turn.dia_id for turn in turns}
    questions, excluded, repaired = [], [], 0
    for place, asked in enumerate(sample["qa"]):
        found = [one for entry in asked["evidence"] for one in evidence_ids(entry)]
        evidence = tuple(dict.fromkeys(one for one in found if one in known))
        category = int(asked["category"])
        if not evidence:
            excluded.append(
                Exclusion(
                    conversation=name,
                    number=place,
                    category=category,
                    reason=_why_excluded(asked["evidence"], found),
                )
            )
            continue
        repaired += list(asked["evidence"]) != found or not known.issuperset(found)
        questions.append(
            Question(
                conversation=name,
                number=place,
                text=asked["question"],
                category=category,
                evidence=evidence,
            )
        )
    return Conversation(
        id=name,
        turns=tuple(turns),
        questions=tuple(questions),
        excluded=tuple(excluded),
        repaired=repaired,
    )


def _why_excluded(entries: Sequence[str], found: Sequence[str]) -> str:
    if not entries:
        return "no evidence given"
    return "evidence names no turn" if found else "evidence id can't be read"


def _turns(conversation: Mapping[str, Any]) -> list[Turn]:
    """In order of sessions. Turns with neither text nor caption hold nothing and are left out."""
    numbers = sorted(int(match[1]) for key in conversation if (match := _SESSION.match(key)))
    turns = []
    for number in numbers:
        when = said_at(conversation[f"session_{number}_date_time"])
        for raw in conversation[f"session_{number}"]:
            turn = _turn(raw, number, when)
            if turn.words.strip():
                turns.append(turn)
    return turns


def _turn(raw: Mapping[str, Any], session: int, when: datetime) -> Turn:
    urls = raw.get("img_url") or ()
    return Turn(
        dia_id="".join(evidence_ids(raw["dia_id"])) or raw["dia_id"],
        session=session,
        speaker=raw["speaker"],
        text=raw["text"],
        caption=raw.get("blip_caption") or None,
        image_urls=(urls,) if isinstance(urls, str) else tuple(urls),
        said_at=when,
    )
