"""`python -m linkage`: the same as the `linkage` command."""

from linkage.cli.main import main

main()
