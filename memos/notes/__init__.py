"""Notes: what each memory is about, which memories it belongs with, and how later ones change that.

After A-MEM (Xu et al., arXiv 2502.12110), with no language model: keywords, tags and a line of
context are read out of the memory, links are chosen by the association of MemGAS (Xu et al.,
arXiv 2505.19549), and a later memory can give an earlier one's note a new revision. All of it is
deterministic. Knows memories, vectors and terms; stores nothing itself.
"""
