"""`python -m app` is `reucid`."""

from app.cli import main

main()
