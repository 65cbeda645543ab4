"""Policies by the name that is stored with what they have made."""

from __future__ import annotations

from memos.errors import InvalidInput
from memos.kvcache.compression.base import Policy
from memos.kvcache.compression.cake import CAKE
from memos.kvcache.compression.elastic import Elastic
from memos.kvcache.compression.expected_attention import ExpectedAttention
from memos.kvcache.compression.finch import Finch
from memos.kvcache.compression.h2o import H2O
from memos.kvcache.compression.key_norm import KeyNorm
from memos.kvcache.compression.keydiff import KeyDiff
from memos.kvcache.compression.kvmerger import KVMerger
from memos.kvcache.compression.kvsharer import KVSharer
from memos.kvcache.compression.kvzip import KVzip
from memos.kvcache.compression.lagkv import LagKV
from memos.kvcache.compression.laq import LAQ
from memos.kvcache.compression.pyramidkv import PyramidKV
from memos.kvcache.compression.reference import Random, Recent
from memos.kvcache.compression.snapkv import SnapKV
from memos.kvcache.compression.think import ThinK
from memos.kvcache.compression.tova import TOVA
from memos.kvcache.compression.zeromerge import ZeroMerge

POLICIES: dict[str, type[Policy]] = {
    policy.name: policy
    for policy in (
        Random,
        Recent,
        KeyNorm,
        KeyDiff,
        ExpectedAttention,
        LagKV,
        KVzip,
        H2O,
        SnapKV,
        PyramidKV,
        TOVA,
        Finch,
        LAQ,
        CAKE,
        ThinK,
        KVMerger,
        ZeroMerge,
        Elastic,
        KVSharer,
    )
}


def policy(name: str) -> Policy:
    """The policy of this name with its usual numbers; InvalidInput for an unknown one."""
    if name not in POLICIES:
        raise InvalidInput(f"no compression policy {name!r}: there are {', '.join(POLICIES)}")
    return POLICIES[name]()
