"""Words that every module speaks: errors, events, money, ids, pages, units of work. Pure Python, no I/O."""
