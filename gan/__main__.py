"""python -m gan: see gan/cli.py."""

import sys

if __name__ == "__main__":
    try:
        from gan.cli import main  # late, so that Ctrl-C during the seconds of importing ends quietly too

        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
