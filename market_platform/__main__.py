"""`python -m market_platform` is the command line."""

from market_platform.cli import main

main()
