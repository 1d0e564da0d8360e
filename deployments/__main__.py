"""``python -m deployments``: the command line, for processes that the stack starts itself."""

from deployments.cli import main

main()
