"""The iris service: asking it over HTTP, and another image for it pod by pod."""
