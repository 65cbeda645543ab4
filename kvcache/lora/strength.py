"""How much of what was learnt is kept: the least that recalls as much.

A training that ends with its aim reached has mostly gone further than that, and the weights between
the model's own and the learnt ones recall as much and disturb less (after Wortsman et al. 2022,
arXiv:2109.01903, for robust fine-tuning). What is asked here is what training was stopped by, and
never what an adapter is judged with afterwards.
"""

from __future__ import annotations

from collections.abc import Callable

from memos.kvcache.lora.learning import Learner

SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)


def least(learner: Learner, recall: Callable[[], float], slack: float) -> float:
    """The share of its change that the learner is left with: the least of `SHARES` whose recall,
    and that of all above it, is within `slack` of the whole change's."""
    learnt = learner.lora()
    wanted = recall() - slack
    kept = SHARES[0]
    for share in SHARES[1:]:
        learner.begin(learnt)
        learner.weaken(share)
        if recall() < wanted:
            break
        kept = share
    learner.begin(learnt)
    learner.weaken(kept)
    return kept
