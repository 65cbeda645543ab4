"""`python -m memos.cli`: the same as the command `memos`."""

from memos.cli import main

if __name__ == "__main__":
    main()
