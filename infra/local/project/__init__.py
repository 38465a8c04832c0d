"""A project of one's own: what `tidestep init` makes, and what `tidestep deploy` reads of one.

The files of a new project lie in `files`, as text with `$name`, `$package` and so on. What must
stay true: an actor or a workflow is added in the project alone, never in our code.
"""
