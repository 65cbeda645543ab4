"""The sync client: what sends, and a module for each group of verbs."""
