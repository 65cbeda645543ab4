"""The graph of a cube in RAM, and what lies near, between and together in it."""
