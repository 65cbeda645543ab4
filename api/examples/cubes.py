"""One example of each answer about cubes, as a value of its type."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from memos.types import Cube, CubeDescription, EmbeddingModel, Loaded, Page

THEN = datetime(2024, 5, 1, 18, 30, tzinfo=timezone.utc)
CUBE_ID = "01HXA8Q5T9V0J4M2K7N3P6R8SB"
_CUBE = Cube(
    id=CUBE_ID,
    tenant_id="default",
    name="ana",
    description="What Ana told us",
    metadata={},
    embedding=EmbeddingModel(
        id="sentence-transformers/all-MiniLM-L6-v2",
        digest="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        dimensions=384,
        max_tokens=256,
    ),
    created_at=THEN,
)

CUBE_EXAMPLES: Mapping[str, Any] = {
    "Cube": _CUBE,
    "CubeDescription": CubeDescription(
        cube=_CUBE,
        memories=120,
        by_kind={"episodic": 120},
        by_state={"activated": 120},
        sessions=4,
        text_bytes=14_200,
        vector_bytes=184_320,
        earliest=THEN,
        latest=THEN,
    ),
    "Loaded": Loaded(cube=_CUBE, rows={"memory": 12, "link": 3}),
    "Page_Cube_": Page(items=(_CUBE,)),
}
"""By the name of the schema."""
