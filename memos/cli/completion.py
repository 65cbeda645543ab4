"""`memos completion`: the script that makes a shell complete the command's names and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from memos.cli.options import command

_INSTALL = {
    "bash": 'eval "$(memos completion bash)"   # in ~/.bashrc',
    "zsh": 'eval "$(memos completion zsh)"   # in ~/.zshrc',
    "fish": "memos completion fish > ~/.config/fish/completions/memos.fish",
}


@command("completion", epilog="\b\n" + "\n".join(_INSTALL.values()))
@click.argument("shell", type=click.Choice(list(_INSTALL)))
def completion(shell: str) -> None:
    """Print the completion script for SHELL."""
    from memos.cli.app import cli

    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(cli, {}, "memos", "_MEMOS_COMPLETE").source())
