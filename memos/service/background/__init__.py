"""Background work as a whole: how urgent it is, when it recurs, how long its traces are kept."""
