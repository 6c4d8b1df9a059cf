"""`python -m app` is `reucid`."""

from app.commands.main import main

main()
