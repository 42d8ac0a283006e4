"""What a person sees: templates, assets, translations, and the rendering of them.

What lives here: Jinja2 with autoescape, content-hashed assets, Babel's catalogues. What must not: a request, a session,
a token; a page gets plain values. No inline script or style, because the policy of these pages allows none.
"""
