"""Proof: the tests are run by us, in fresh containers, on the exact tree to be pushed."""
