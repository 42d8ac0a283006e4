"""Pages: everything a person sees of Sidegate itself, as HTML.

What lives here: templates with one base, their style sheet, script and icon, the words (``locales``), and the security
fields that belong to each page. What must not: a rule about who may do what, a cookie, a request. A page is a pure
function of its name, the visitor's languages and a context; :mod:`proxy.pages.contexts` lists what each page takes, and
a name that is missing or misspelt is an error, not an empty place.

Laws of the room: every value is escaped (autoescape has no exception, ``|safe`` does not occur); no inline script, no
inline style; each page works without JavaScript; every word comes from the catalog by its id.
"""
