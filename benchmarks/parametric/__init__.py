"""Parts of the benchmark of parametric memory, `lora`."""
