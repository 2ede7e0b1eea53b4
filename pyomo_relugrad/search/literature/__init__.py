"""The local searches of the literature, each as its paper has it."""
