#!/bin/sh
# Run by Snakemake inside the new environment. DFDM_PROJECT, the checkout's folder, is set by workflow/Snakefile's
# rules.
set -eu
# by itself, since it asks for opencv-python, which needs libGL, and a list of packages cannot say --no-deps
python -m pip install --no-deps face-alignment==1.5.0
# in place, so that the environment follows the checkout; the build tool is in the list
python -m pip install --no-deps --no-build-isolation --editable "${DFDM_PROJECT:?}"
