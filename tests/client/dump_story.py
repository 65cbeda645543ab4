"""Cubes as files in the story that every way into the service tells."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from memos.errors import AlreadyExists, CubeNotFound, InvalidDump, InvalidInput
from memos.types import Dump, Loaded


def dump_story(memory: Any, said: Any) -> None:
    note, refused = said.note, said.refused
    memory.create_cube("chest", description="of old things", metadata={"lid": True})
    ids = [m.id for m in memory.add(["A brass key.", "A torn map."], cube="chest").memories]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "chest.cube"
        made = memory.dump(file, cube="chest")
        assert type(made) is Dump
        assert made.bytes == file.stat().st_size
        note("dump", (made.name, {k: v for k, v in made.rows.items() if k.startswith("memory")}))
        refused("load over it", AlreadyExists, lambda: memory.load(file))
        with file.open("rb") as opened:
            loaded = memory.load(opened, name="copy")
        assert type(loaded) is Loaded
        assert loaded.rows == made.rows
        note("load", (loaded.cube.name, loaded.cube.description, loaded.cube.metadata))
        note("found", [hit.memory for hit in memory.search("brass key", cube="copy").hits][:1])
        assert [m.id for m in memory.memories(cube="copy").items] == ids
        refused("dump no cube", CubeNotFound, lambda: memory.dump(file, cube="nowhere"))
        assert memory.load(file, name="again").rows == made.rows
        refused("load a bad name", InvalidInput, lambda: memory.load(file, name="a b"))
        file.write_bytes(file.read_bytes()[:-20])
        refused("load half", InvalidDump, lambda: memory.load(file, name="half"))
        file.write_text("not a dump")
        refused("load no dump", InvalidDump, lambda: memory.load(file, name="none"))
        assert [path.name for path in Path(folder).iterdir()] == ["chest.cube"]
    for name in ("chest", "copy", "again"):
        memory.delete_cube(name)
