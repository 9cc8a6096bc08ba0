"""One report of a ranking: its content, in words of a language, as a page, as JSON and as Markdown."""
