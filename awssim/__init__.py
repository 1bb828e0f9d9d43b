"""The AWS stand-in: ministack (pinned) behind layers of our own that check who is asking and lose nothing."""
