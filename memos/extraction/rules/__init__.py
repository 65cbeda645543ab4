"""Entities and claims by rules over a dependency parse; the default extractor, without a model
that has to be asked. Importing this loads no spaCy."""

from memos.extraction.rules.extractor import RulesExtractor

__all__ = ["RulesExtractor"]
