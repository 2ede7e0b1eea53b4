"""Local searches: methods that find points. No Pyomo."""
