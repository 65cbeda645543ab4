"""A model run over rows that are no plain prefix: fewer, merged, moved or shared between layers."""
