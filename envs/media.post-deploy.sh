#!/bin/sh
# Run by Snakemake inside the new environment. DFDM_PROJECT, the checkout's folder, is set by workflow/Snakefile's
# rules.
set -eu
# in place, so that the environment follows the checkout; the build tool is in the list
python -m pip install --no-deps --no-build-isolation --editable "${DFDM_PROJECT:?}"
