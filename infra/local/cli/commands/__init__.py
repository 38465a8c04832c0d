"""The commands by what they are about: working on runs, looking at runs, looking at documents."""
