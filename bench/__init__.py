"""The benchmarks: `make bench`. What is measured, and how to read it, is in README.md beside this file."""
