// In a frame: after signing in, come back to the page around the frame, wherever that is now. Only pages of this very
// site may show this one in a frame, so their address can be read. Without script the server has made its best guess.
"use strict";
(() => {
  const link = document.querySelector("a[data-way-out]");
  if (!link || window.top === window) return;
  try {
    const around = window.top.location, way = new URL(link.href);
    if (way.searchParams.has("kept")) return;
    way.searchParams.set("return_to", around.pathname + around.search + around.hash);
    link.href = way.href;
  } catch { /* The server's guess stands. */ }
})();
