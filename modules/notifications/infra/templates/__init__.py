"""The texts, one file per template, locale and form; the first line of a `.txt` is the subject."""
