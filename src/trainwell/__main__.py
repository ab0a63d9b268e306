"""python -m trainwell."""

from trainwell.cli.main import main

if __name__ == "__main__":
    main()
