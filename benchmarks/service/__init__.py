"""A running service as benchmarks use it: started and killed, loaded, waited for."""
