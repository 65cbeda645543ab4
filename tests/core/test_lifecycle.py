import pytest
from hypothesis import given
from hypothesis import strategies as st

from memos.errors import StateConflict
from memos.lifecycle import STEPS, check_step
from memos.types import State

states = st.sampled_from(list(State))


@given(states, states)
def test_a_step_is_allowed_exactly_if_the_table_has_it(now, then):
    if then in STEPS[now]:
        check_step("m", now, then)
    else:
        with pytest.raises(StateConflict, match=now.value):
            check_step("m", now, then)


def test_every_state_can_be_erased_and_nothing_follows():
    for state in State:
        if state is not State.ERASED:
            assert State.ERASED in STEPS[state]
    assert not STEPS[State.ERASED]


def test_every_state_can_be_reached():
    reached = {State.GENERATED}
    while new := {s for r in reached for s in STEPS[r]} - reached:
        reached |= new
    assert reached == set(State)
