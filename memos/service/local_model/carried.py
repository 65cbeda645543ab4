"""What files of a model's states and adapters carry in their heads: what they were made of and for.

By these names files are found and deleted when something is forgotten. A memory is named with its
cube, since a loaded copy of a cube has memories of the same ids, in this tenant or in another.
"""

from __future__ import annotations

from collections.abc import Iterable

from memos.protocols import artifact_name, cube_name, memory_name
from memos.types import Artifact, ArtifactSource, Cube


def carried(cube: Cube, artifact: Artifact) -> list[ArtifactSource]:
    """Of an artifact's own files."""
    return [
        *named(cube, artifact.sources),
        ArtifactSource(memory_id=artifact_name(artifact.id), version=1),
        ArtifactSource(memory_id=cube_name(cube.id), version=1),
    ]


def named(cube: Cube, sources: Iterable[ArtifactSource]) -> list[ArtifactSource]:
    """Memories by the names that files carry."""
    return [
        ArtifactSource(memory_id=memory_name(cube.id, one.memory_id), version=one.version)
        for one in sources
    ]
