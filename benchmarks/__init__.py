"""The benchmark suite: `python -m benchmarks`; README.md says what each row means."""
