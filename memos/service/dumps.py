"""Cubes in files: dump and load, with the jobs that make anew what does not travel.

Knows files and jobs; what a dump is made of is the stores' affair.
"""

from __future__ import annotations

import os
from typing import BinaryIO

from memos import __version__
from memos.config import Settings
from memos.dumpfile import Place, reading, writing
from memos.errors import PayloadTooLarge
from memos.protocols import RETRAIN, Arrived, Stores
from memos.retrieval.reading.analysis import ANALYZER
from memos.service.activation.activations import Activations
from memos.service.enriching.due import Enriching
from memos.service.memories.uses import Uses
from memos.service.memories.writing import Writer
from memos.types import Cube, Dump, Loaded, NewJob
from memos.validation import check_cube_name, check_metadata, check_text


class Dumps:
    def __init__(
        self,
        stores: Stores,
        settings: Settings,
        uses: Uses,
        enriching: Enriching,
        writer: Writer,
        activations: Activations,
    ) -> None:
        self._stores = stores
        self._settings = settings
        self._uses = uses
        self._enriching = enriching
        self._writer = writer
        self._activations = activations

    def dump(self, cube: Cube, to: Place) -> Dump:
        """A file that is there already is replaced when the new one is whole."""
        self._uses.flush()
        with writing(to) as file:
            return self._stores.dumps.write(cube.id, file, product=__version__)

    def load(self, source: Place, *, tenant_id: str, name: str | None, actor: str | None) -> Loaded:
        """All or nothing; see `memos.protocols.DumpStore`."""
        if name is not None:
            check_cube_name(name)
        with reading(source) as file:
            self._check_size(file)
            return self._stores.dumps.load(
                file,
                tenant_id=tenant_id,
                name=name,
                ratio=self._settings.dump_ratio,
                analyzer=ANALYZER,
                check=self._check,
                jobs=self._jobs,
                actor=actor,
            )

    def _check_size(self, file: BinaryIO) -> None:
        size, most = file.seek(0, os.SEEK_END), self._settings.dump_bytes
        if size > most:
            raise PayloadTooLarge(
                f"the dump has {size} bytes, more than {most}, the limit (MEMOS_DUMP_BYTES)"
            )

    def _check(self, cube: Cube) -> None:
        check_cube_name(cube.name)
        check_text("description", cube.description)
        check_metadata("metadata", cube.metadata, self._settings)

    def _jobs(self, arrived: Arrived) -> list[NewJob]:
        """What has to follow: searches are exact without any of it."""
        cube = arrived.cube
        jobs = self._writer.sync_jobs(cube, last=arrived.last)
        if arrived.unindexed:
            jobs.append(self._job(cube, "reindex", {"embed": cube.embedding is None}))
        jobs += self._enriching.after_write(cube)
        jobs += [self._activations.compiling.job(cube, id) for id in arrived.compiled]
        return jobs + [self._job(cube, RETRAIN, {"adapter_id": id}) for id in arrived.attached]

    def _job(self, cube: Cube, kind: str, payload: dict[str, object]) -> NewJob:
        return NewJob(
            tenant_id=cube.tenant_id,
            cube_id=cube.id,
            kind=kind,
            payload=payload,
            max_attempts=self._settings.job_attempts,
        )
