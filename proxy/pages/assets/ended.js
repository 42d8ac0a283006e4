// Tells the other tabs of this site that somebody signed out: those with session.js ask at once who is signed in.
"use strict";
if (window.BroadcastChannel) new BroadcastChannel(document.currentScript.src.replace(/\/assets\/[^/]*$/, "")).postMessage("");
