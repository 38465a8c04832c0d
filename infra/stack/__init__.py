"""What is deployed to AWS: the templates that an application nests, and how they are laid out."""
