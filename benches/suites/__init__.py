"""One module for each suite: `run(bench)` measures and gives its tables."""
