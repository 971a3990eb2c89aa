"""`python -m localcloud`: start, stop, status, logs, env, clean."""

from localcloud.cli.app import main

if __name__ == "__main__":
    main()
