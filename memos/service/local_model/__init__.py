"""What activation and parametric memory share: the local model, and what is chosen for it."""
