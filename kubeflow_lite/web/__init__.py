"""What both pages share: templates, style, headers, and the words for durations and amounts.

Server-rendered HTML with a few lines of script and no other host: it works offline and without script. aiohttp serves it, which the
controllers' warm interpreter has already; a second web framework would cost 30 MB for two read-only pages.
"""
