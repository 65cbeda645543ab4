"""The checksum of a file's payload, read in parallel.

A large file that is not in the page cache is read faster by several threads than by one that walks
through its mapping, page by page; what they read is hashed in order. It fills the page cache, from
which the file is mapped afterwards.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

import xxhash

from memos.errors import BlockCorrupt
from memos.kvcache.blocks.file import Head

PART_BYTES = 4 << 20
THREADS = max(2, min(8, os.cpu_count() or 2))
LARGE_BYTES = 64 << 20
"""From here on threads are worth their start."""


def check_file(descriptor: int, head: Head) -> None:
    """BlockCorrupt unless the payload of the open file is what was written."""
    digest = xxhash.xxh3_128()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="memos-kv-verify") as pool:
        reads: deque[Future[bytes]] = deque()
        for at in range(head.offset, head.size, PART_BYTES):
            if len(reads) >= 2 * THREADS:
                digest.update(reads.popleft().result())
            reads.append(pool.submit(os.pread, descriptor, min(PART_BYTES, head.size - at), at))
        for read in reads:
            digest.update(read.result())
    if digest.hexdigest() != head.header.checksum:
        raise BlockCorrupt(
            f"the payload's checksum is {digest.hexdigest()} and should be {head.header.checksum}"
        )
