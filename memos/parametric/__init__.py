"""Parametric memory as the service sees it: which memories are learnt, and by which examples."""
