"""`python -m agent` is `amo-agent`."""

from agent.cli import main

main()
