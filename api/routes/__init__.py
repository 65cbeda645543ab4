"""The routes, one module per noun, those of the graph in a folder. Each has a `router`;
`memos.api.app` puts them together.
"""
