"""``sidegate keycloak-setup``: make or mend the client in Keycloak as one settings file needs it.

A room beside ``operations``, and like that a part of the composition root: settings end here. What is needed
(``needs``, ``wanted``) and what differs (``difference``) are values, made without a network; ``admin_api`` speaks with
Keycloak's admin REST API and knows no settings; ``telling`` is what a person reads; ``secret_file`` is where the secret
goes, and nowhere else; ``command`` puts them in a row: look, show, ask, do, look again.

Three rules. What the file does not need is not given. What others set is kept: a PUT is a merge, and names what it
changes, nothing else. What Keycloak holds after the last step is compared once more, because policies of a realm may
change what it was sent.
"""
