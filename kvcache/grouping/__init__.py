"""Requests that come one by one and are answered by the same forward passes."""
