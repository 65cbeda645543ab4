"""Parametric memory: adapters of the local model, made from examples, kept, served and merged."""
