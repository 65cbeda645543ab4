"""Activation memory as the service sees it: which memories a model reads, and in which form."""
