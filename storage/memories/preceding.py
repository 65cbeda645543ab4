"""What was said before some turns in their sessions: for many turns at once, in one statement."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import Connection, text

from memos.storage.records import memory_of
from memos.types import LIVE, Memory

_LIVE = ", ".join(f"'{state.value}'" for state in LIVE)
# Of each key (number, session, user, position) the memories before that position.
_BEFORE = (
    "cube_id = :cube AND session_id = {session} AND user_id {same} {user} AND position < {position}"
    f" AND state IN ({_LIVE}) ORDER BY position DESC LIMIT :limit"
)
_PRECEDING = {
    "sqlite": text(
        "SELECT json_extract(w.value, '$[0]'), memory.* FROM json_each(:keys) AS w"
        " CROSS JOIN memory WHERE memory.cube_id = :cube AND memory.position IN"
        " (SELECT position FROM memory WHERE "
        + _BEFORE.format(
            session="json_extract(w.value, '$[1]')",
            same="IS",
            user="json_extract(w.value, '$[2]')",
            position="json_extract(w.value, '$[3]')",
        )
        + ")"
    ),
    "postgresql": text(
        "SELECT CAST(w.key ->> 0 AS integer), memory.*"
        " FROM json_array_elements(CAST(:keys AS json)) AS w(key) CROSS JOIN LATERAL"
        " (SELECT * FROM memory WHERE "
        + _BEFORE.format(
            session="w.key ->> 1",
            same="IS NOT DISTINCT FROM",
            user="w.key ->> 2",
            position="CAST(w.key ->> 3 AS bigint)",
        )
        + ") AS memory"
    ),
}


def preceding(connection: Connection, turns: Sequence[Memory], limit: int) -> list[list[Memory]]:
    """For each turn of one cube the last `limit` live memories before it in its session, the oldest
    first; none for a turn without a session."""
    found: list[list[Memory]] = [[] for _ in turns]
    keys = [
        (number, turn.session_id, turn.user_id, turn.position)
        for number, turn in enumerate(turns)
        if turn.session_id is not None
    ]
    if keys:
        asked = {"cube": turns[0].cube_id, "keys": json.dumps(keys), "limit": limit}
        query = _PRECEDING[connection.dialect.name]
        for number, *row in connection.execute(query, asked):
            found[number].append(memory_of(row))
    return [sorted(of, key=lambda one: one.position) for of in found]
