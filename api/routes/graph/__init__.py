"""The graph: facts and why they are believed, entities, what people ruled, the vocabulary."""
