"""Branch and bound over boxes of the networks' inputs.

A *node* is a box of all columns. *Bounding* it gives a number that no objective in it is below, and perhaps a smaller
box; *branching* makes two nodes of it. From the bottom to the top:

- `nodes`: boxes with what is known on them, as arrays;
- `expressions`: smooth expressions between planes over boxes, as functions and as rows;
- `relaxations`: every function between lines or planes over the boxes of many nodes at once (CROWN);
- `objective`: linear functions below an objective, substituted back through the relaxations;
- `outputs`: linear functions below and above single outputs, and the rows that they are in a linear program;
- `node_program`: the linear program of a node;
- `bounding`: what bounding a batch of nodes gives. A *bounder* does it: `crown_bounder` by the objective's functions
  alone, where bounds are the only constraints, `program_bounder` by linear programs as well;
- `branching`: which column is split, and where;
- `tree`: the search tree that uses all of this.
"""
