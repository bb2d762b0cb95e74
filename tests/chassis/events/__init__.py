"""The log, its cursors and the dispatcher."""
