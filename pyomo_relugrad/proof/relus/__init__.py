"""Branch and bound over ReLUs, with bounds by beta-CROWN.

A *node* says of some ReLUs whether they are active. From the bottom to the top:

- `nodes`: nodes with what is known on them, as arrays;
- `dual`: a bound of a node for any multipliers, and its derivatives in them;
- `ascent`: better multipliers;
- `branching`: which ReLU is split;
- `tree`: the search tree that uses all of this.
"""
