"""The memory service: verbs over protocols, with no knowledge of backends or HTTP."""

from memos.service.engine import DEFAULT_TENANT
from memos.service.memory_os import MemoryOS
from memos.service.service import Service

__all__ = ["DEFAULT_TENANT", "MemoryOS", "Service"]
