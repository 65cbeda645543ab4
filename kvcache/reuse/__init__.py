"""What to do with states that were stored: the exact prefix, and requests that share one."""
