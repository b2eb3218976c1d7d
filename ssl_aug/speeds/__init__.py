"""How fast the parts are on this machine, each beside the plain way, and how long the paper's run takes here."""
