"""The routes, one module per noun. Each has a `router`; `memos.api.app` puts them together."""
