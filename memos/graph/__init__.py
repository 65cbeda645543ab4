"""The temporal graph: what facts follow from what was said, and how they hang together.

Importing this package loads nothing heavy.

    vocabulary     predicates and entity types that are known at the start
    resolving/     who and what names mean, and what claims say of them
    deriving/      which facts follow from what was said: from when, until when, by which rule
    network/       the graph of a cube in RAM, and what lies near, between and together in it
    explanation    why a fact is believed and why it ended; sentences: a fact in plain English
"""
