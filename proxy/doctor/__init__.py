"""``sidegate doctor``: goes and looks whether the world is as one settings file needs it.

A part of the composition root, above ``keycloak_setup``, whose comparison it uses. A finding is a line: ``ok``,
``warn`` or ``fail``, and with the last two what to do, at its exact place::

    finding         a finding, and many of them: values; knows nothing of where they come from
    report          their lines for people, their document for programs
    visit           what every look has in its hands: settings, an HTTP client, a clock
    wire            one connection by TCP or TLS, and what its certificate says
    own             the file itself, its secrets, its certificates, the public URL and what answers there
    names           whether names resolve
    provider        discovery, issuer, keys, clock
    client          whether Keycloak takes the client's word, and passwords from it
    pages           whether Keycloak's pages take our addresses, and demand PKCE
    registration    the client as an administrator sees it: what ``keycloak-setup`` would change
    person          a test login: tokens, lifetimes, roles
    store, store_health, store_rights   Redis: whether it answers, how it is kept, what our user may do
    upstreams       the apps
    command         all of them side by side, in one order

Rules. Nothing is changed anywhere: what is asked of Keycloak is asked so that it must refuse it, and names that stand
for nobody are random. No secret is in a finding. Every look ends in time, and a fault of one is a finding, not the
end of the others. What cannot be seen from here is said, and how to see it.
"""
