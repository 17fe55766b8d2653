"""A write-up of what was found, as one file: HTML, Markdown or PDF.

`facts` asks the questions of the catalogue, once each; `relaytrap.redaction` takes secrets out of the answers;
`document` puts what is left into words, tables and pictures; `html`, `markdown` and `pdf` are the doors through which
these leave, each of which escapes for itself. `make` does all of it.
"""
