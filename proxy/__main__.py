"""``python -m proxy`` is ``sidegate``: for a clone in which nothing is installed yet."""

from proxy.cli import main

main(prog_name="sidegate")
