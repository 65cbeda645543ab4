"""Examples of answers, a module for each noun; those of requests are with `memos.api.schemas`."""
