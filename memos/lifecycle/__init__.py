"""The lives of memories: which steps there are, and by which rules they are taken by themselves."""

from memos.lifecycle.rules import check_rule, due_step
from memos.lifecycle.steps import STEPS, VERBS, Verb, check_step, check_verb, check_way_back

__all__ = [
    "STEPS",
    "VERBS",
    "Verb",
    "check_rule",
    "check_step",
    "check_verb",
    "check_way_back",
    "due_step",
]
