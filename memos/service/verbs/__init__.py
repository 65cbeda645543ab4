"""The groups of verbs that `memos.service.MemoryOS` is made of, one module for each."""
