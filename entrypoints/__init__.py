"""How the system is started: composition root, servers, commands."""
