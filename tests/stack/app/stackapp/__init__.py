"""An application that is deployed on a stand-in of AWS: each workflow shows one thing."""
