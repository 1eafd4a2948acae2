"""A package, so that the demo and the browser end with the last of its tests and not with the run."""
