"""The layout of a cache: bytes, kinds, and its form as JSON."""

import json

import pytest

from memos.errors import InvalidInput
from memos.kvcache.layout import CacheLayout, LayerLayout

FULL = LayerLayout("full", 3, 64, 64)
SLIDING = LayerLayout("sliding", 3, 64, 64, window=33, rope_base=1e4)
STATE = LayerLayout("recurrent", 0, 0, 0, state_shapes=((4, 3), (2, 5)))


def test_bytes_of_the_default_model_are_those_measured():
    layout = CacheLayout((FULL,) * 30, "bfloat16")
    assert layout.bytes_per_token() == 23_040
    assert layout.bytes_of(2048) == 2048 * 23_040
    assert layout.uniform
    assert layout.croppable


def test_a_window_keeps_one_token_less_than_it_is_wide():
    layout = CacheLayout((FULL, SLIDING), "float32")
    assert [layer.kept(100) for layer in layout.layers] == [100, 32]
    assert layout.bytes_of(100) == (100 + 32) * 3 * 128 * 4
    assert not layout.uniform
    assert not layout.croppable


def test_recurrent_states_take_the_same_for_any_length():
    layout = CacheLayout((STATE,), "float16")
    assert layout.bytes_per_token() == 0
    assert layout.bytes_of(7) == layout.bytes_of(7000) == 22 * 2


def test_layers_that_differ_are_not_uniform():
    assert not CacheLayout((FULL, LayerLayout("full", 3, 64, 32)), "float32").uniform
    assert not CacheLayout((LayerLayout("full", 3, 64, 32),), "float32").uniform


def test_it_goes_through_json():
    layout = CacheLayout((FULL, SLIDING, STATE), "bfloat16")
    assert CacheLayout.from_dict(json.loads(json.dumps(layout.to_dict()))) == layout


@pytest.mark.parametrize("content", [{}, {"layers": [{}], "dtype": "float32"}, {"layers": 3}])
def test_what_is_no_layout_is_refused(content):
    with pytest.raises(InvalidInput):
        CacheLayout.from_dict(content)


def test_impossible_layers_are_refused():
    with pytest.raises(InvalidInput, match="window"):
        LayerLayout("sliding", 3, 64, 64)
    with pytest.raises(InvalidInput, match="window"):
        LayerLayout("full", 3, 64, 64, window=5)
    with pytest.raises(InvalidInput, match="dtype"):
        CacheLayout((FULL,), "int8")
    with pytest.raises(InvalidInput, match="without layers"):
        CacheLayout((), "float32")
