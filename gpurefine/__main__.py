"""``python -m gpurefine`` is the command ``gpurefine``."""

from gpurefine.cli import main

if __name__ == "__main__":
    main()
