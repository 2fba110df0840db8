"""What the project's speed and memory claims rest on: `python -m benchmarks --help`, docs/benchmarks.md."""
