"""Which prompts begin alike: the tree holds for any batch."""

from hypothesis import given
from hypothesis import strategies as st

from memos.kvcache.reuse.tree import LEAST, common, order_of, shared_runs

prompts = st.lists(
    st.builds(
        lambda stem, cut, own: [*([stem] * cut), *own],
        st.integers(0, 1),
        st.integers(0, 3 * LEAST),
        st.lists(st.integers(0, 2), min_size=1, max_size=2 * LEAST),
    ),
    min_size=1,
    max_size=6,
)


def check(nodes, ordered, first, last, start):
    row = first
    for node in nodes:
        assert row <= node.first < node.last <= last
        assert node.last - node.first > 1
        assert node.start == start
        assert node.end - node.start >= LEAST
        alike = {tuple(ordered[r][: node.end]) for r in range(node.first, node.last)}
        assert len(alike) == 1
        assert all(len(ordered[r]) > node.end for r in range(node.first, node.last))
        check(node.children, ordered, node.first, node.last, node.end)
        row = node.last


@given(prompts)
def test_rows_of_a_node_agree_and_have_a_token_left(batch):
    ordered = [batch[index] for index in order_of(batch)]
    check(shared_runs(ordered), ordered, 0, len(ordered), 0)


def test_a_tree_of_two_levels():
    stem, left, right = [1] * 40, [2] * 40, [3] * 40
    batch = [stem + left + [5], stem + right + [6], stem + left + [7], stem + right + [8], [9]]
    (node,) = shared_runs([batch[index] for index in order_of(batch)])
    assert (node.first, node.last, node.end) == (0, 4, 40)
    assert [(n.first, n.last, n.start, n.end) for n in node.children] == [
        (0, 2, 40, 80),
        (2, 4, 40, 80),
    ]


def test_equal_prompts_share_all_but_the_last_token():
    (node,) = shared_runs([[1] * 50, [1] * 50])
    assert node.end == 49
    assert common([1, 2, 3], [1, 2]) == 2
