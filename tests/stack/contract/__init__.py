"""The store's own tests of `tests/infra`, on two more stand-ins of AWS: a second opinion.

Every test there that asks for a backend runs here too, unless it says itself which backends it is
for; what a stand-in cannot do is in `left_out.py`, by name.
"""
