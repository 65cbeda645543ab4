"""The local language model: found, loaded, run, and its cache taken out and put back."""
