"""The graph as callers see it."""
