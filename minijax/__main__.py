"""`python -m minijax`: the main job, a classifier of handwritten digits trained from scratch (see `minijax/demo/`)."""

import sys

PACKAGES = {"sklearn": "scikit-learn", "tqdm": "tqdm", "matplotlib": "matplotlib"}

try:
    from minijax.demo.main import main
except ModuleNotFoundError as error:
    missing = PACKAGES.get((error.name or "").partition(".")[0])
    if missing is None:
        raise
    sys.exit(f"python -m minijax needs {missing}, which is not installed. "
             f"Install what the demo needs with: pip install {' '.join(PACKAGES.values())}")

if __name__ == "__main__":
    sys.exit(main())
