"""The policy: fair between tenants, urgent and short work first, nothing starves, limits hold."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memos.benchmarks.scheduling.simulation import (
    Arrival,
    first_come,
    planned,
    pollaczek_khinchine,
    trace,
)
from memos.scheduler import Policy
from memos.types import Books, Lane

KINDS = {"quick": 0.01, "slow": 0.5}
POLICY = Policy(levels={"quick": 0, "slow": 2}, batch=0.02, quantum=0.05)


def lane(tenant="a", kind="quick", level=0, since=0.0):
    return Lane(tenant, kind, 1, level, since)


def plan(lanes, books=None, *, now=0.0, limit=64, policy=POLICY, seed=1):
    books = books or Books(costs=KINDS)
    return policy.plan(lanes, books, now=now, limit=limit, rng=random.Random(seed))


def test_who_was_charged_less_comes_first_and_idling_saves_nothing_up():
    books = Books(spent={"a": 10.0, "b": 9.99}, round=10.0, costs=KINDS)
    assert plan([lane("a"), lane("b")], books, limit=1).picks[0].lane.tenant_id == "b"
    away = Books(spent={"a": 10.0, "b": 0.0}, round=10.0, costs=KINDS)
    found = plan([lane("a"), lane("b")], away, limit=1)
    assert found.picks[0].lane.tenant_id == "b"
    assert found.floor == pytest.approx(10.0 - POLICY.quantum)


def test_a_batch_is_as_large_as_its_expected_cost_allows():
    assert [(p.lane.kind, p.count) for p in plan([lane()]).picks] == [("quick", 2)]
    assert [p.count for p in plan([lane(kind="slow", level=2)]).picks] == [1]
    assert sum(p.count for p in plan([lane()], limit=1).picks) == 1
    tiny = Books(costs={"quick": 0.00001})
    assert sum(p.count for p in plan([lane()], tiny, limit=40).picks) == 40


def test_work_that_is_measured_long_falls():
    assert POLICY.level("quick", mean=0.0, spent=0.0) == 0
    assert POLICY.level("quick", mean=0.3, spent=0.0) == 1
    assert POLICY.level("quick", mean=0.0, spent=3.0) == 2
    assert POLICY.level("slow", mean=0.01, spent=0.0) == 2
    assert POLICY.level("slow", mean=1e9, spent=0.0) == 3


def test_urgent_levels_come_first_but_one_pick_in_eight_goes_to_the_overdue():
    lanes = [lane(since=0.5), lane(kind="slow", level=2, since=0.0)]
    fresh = [plan(lanes, now=1.0, limit=1, seed=n).picks[0].lane.kind for n in range(200)]
    assert set(fresh) == {"quick"}
    aged = [plan(lanes, now=1000.0, limit=1, seed=n).picks[0].lane.kind for n in range(800)]
    assert 60 <= aged.count("slow") <= 140
    back = [plan(lanes, now=-1000.0, limit=1, seed=n).picks[0].lane.kind for n in range(200)]
    assert set(back) == {"quick"}  # a clock that was set back makes nobody overdue


def test_a_kind_at_its_limit_is_left_out():
    policy = Policy(limits={"slow": 2}, batch=10.0)
    lanes = [lane(kind="slow", level=2), lane("b")]
    one = plan(lanes, Books(costs=KINDS, running={"slow": 1}), policy=policy, limit=9)
    assert {p.lane.kind: p.count for p in one.picks}["slow"] == 1
    none = plan(lanes, Books(costs=KINDS, running={"slow": 2}), policy=policy, limit=9)
    assert [p.lane.kind for p in none.picks] == ["quick"]
    assert plan(lanes[:1], Books(running={"slow": 3}), policy=policy).picks == ()


jobs = st.lists(
    st.tuples(
        st.floats(0, 5), st.sampled_from("abc"), st.sampled_from(list(KINDS)), st.floats(0.001, 1)
    ),
    min_size=1,
    max_size=60,
)


@given(jobs, st.integers(1, 3), st.integers(0, 9))
@settings(max_examples=40)
def test_every_job_is_served_once_and_not_before_it_came(found, workers, seed):
    arrivals = [Arrival(*job) for job in sorted(found)]
    served = planned(arrivals, POLICY, seed=seed, workers=workers)
    assert sorted(map(hash, (s.arrival for s in served))) == sorted(map(hash, arrivals))
    assert all(s.wait >= 0 for s in served)


@given(st.integers(0, 9), st.floats(0.002, 0.3), st.floats(0.002, 0.3))
@settings(max_examples=15)
def test_two_tenants_with_a_backlog_get_the_same_time(seed, one, other):
    """However long their jobs are: their shares differ by a quantum, a batch and a job at most."""
    arrivals = [
        Arrival(0.0, tenant, kind, seconds)
        for tenant, kind, seconds in (("a", "quick", one), ("b", "slow", other))
        for _ in range(int(6 / seconds))
    ]
    served = planned(arrivals, POLICY, seed=seed)
    used = {"a": 0.0, "b": 0.0}
    slack = POLICY.quantum + POLICY.batch + 2 * max(one, other) + 0.2
    for done in served:
        used[done.arrival.tenant] += done.arrival.seconds
        if max(used.values()) > 5:
            break
        assert abs(used["a"] - used["b"]) <= slack


def test_a_flood_holds_up_another_tenants_job_by_no_more_than_a_batch():
    flood = [Arrival(0.0, "flood", "quick", 0.01) for _ in range(10_000)]
    single = [Arrival(10.0 + n, "single", "quick", 0.01) for n in range(20)]
    served = planned(sorted([*flood, *single], key=lambda a: a.at), POLICY, seed=0)
    waits = [s.wait for s in served if s.arrival.tenant == "single"]
    assert max(waits) <= POLICY.batch + 0.01
    assert min(s.wait for s in first_come([*flood, *single]) if s.arrival.at > 0) > 50


def test_first_come_agrees_with_the_formula_and_the_policy_is_kinder_to_the_short():
    arrivals = trace(12_000, load=0.7, tenants=3, seed=5)
    fifo = first_come(arrivals)
    mean = sum(s.wait for s in fifo) / len(fifo)
    assert mean == pytest.approx(pollaczek_khinchine(arrivals), rel=0.3)
    ours = planned(arrivals, Policy(levels={"extract": 2, "compile": 2}), seed=5)

    def wait(served, kind):
        waits = [s.wait for s in served if s.arrival.kind == kind]
        return sum(waits) / len(waits)

    assert wait(ours, "index") < 0.8 * wait(fifo, "index")
    assert sum(s.wait for s in ours) < sum(s.wait for s in fifo)
