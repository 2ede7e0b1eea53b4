"""Rules of the operators: from the values of a node's inputs to the value of its output."""
