"""Questions about properties: counterexamples, and verdicts with their proofs."""
