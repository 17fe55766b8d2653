"""`relaytrap completion SHELL`: the script by which a shell completes commands, options and their values."""

import click
from click.shell_completion import get_completion_class

__all__ = ["command"]

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_RELAYTRAP_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print what lets a shell complete commands, options and their values.

    \b
    bash  in ~/.bashrc:                     eval "$(relaytrap completion bash)"
    zsh   in ~/.zshrc, after compinit:      eval "$(relaytrap completion zsh)"
    fish  in ~/.config/fish/config.fish:    relaytrap completion fish | source
    """
    made_by = get_completion_class(shell)
    assert made_by
    click.echo(made_by(ctx.find_root().command, {}, "relaytrap", VARIABLE).source())
