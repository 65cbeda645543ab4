"""Activation and parametric memory: key-value caches and adapters of a local model.

Imported as `memos.kvcache`. Knows the protocols of the core and nothing of storage or
HTTP. Importing this package loads no model library.

    activations    the local model and its stored states as one thing: the service's way in
    compressed     answers from what a policy has left; joined: from several texts put together
    generator/     a transformers model: loading, tokens, rows of one forward pass, sampling
    blocks/        a run of tokens with their states: hashes, header, file
    codecs/        how states become bytes
    store/         blocks on disk: index, budget, durability, forgetting
    tiers/         device, RAM and remote copies of blocks, and the way between them
    grouping/      requests that come one by one, answered by the same forward passes
    reuse/         stored states in prompts: prefixes, prompts that share one, places elsewhere
    compression/   policies that leave out, merge or share states: a file for each
    attention/     what policies and reuse elsewhere need to see and change in a model's attention
    quality/       one measure of what a cache that is not the full one costs
    lora/          adapters
"""
