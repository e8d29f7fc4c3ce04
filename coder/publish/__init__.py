"""The texts that leave: pull request body and status comment."""
