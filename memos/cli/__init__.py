"""The command `memos`. Each command's module is loaded when the command is called."""

from memos.cli.app import cli, main

__all__ = ["cli", "main"]
