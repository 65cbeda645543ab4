"""Texts that benchmarks of several families read: made up, of LoCoMo, and prose."""
