"""Forms of parametric memory other than low-rank weights, one per module, and their comparison."""
