"""What a user is told in one line."""


class UserError(Exception):
    """A mistake of the user's, told in one line; the commands end with exit code 2 and write nothing."""
