"""The faces, one module or package per audience: the public API, merchant, portal, staff, and the demo's home page."""
