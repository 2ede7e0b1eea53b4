"""The Pyomo face: blocks, the compiler, the solvers, OMLT. Knows Pyomo and OMLT."""
