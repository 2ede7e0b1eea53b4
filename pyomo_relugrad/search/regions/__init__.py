"""Linear regions: their facets, the linear programs over them, walks from one to the next."""
