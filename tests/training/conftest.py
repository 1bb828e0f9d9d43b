from tests.images.stack import stack

__all__ = ["stack"]
