"""How memories go through their lives: steps and rules, forgetting and erasing, what follows."""
