// For pages of the app: who is signed in, signing out, a word before the session ends, the way to the login page after.
// README: "A page's own script". Asking never counts as activity; a click on "Stay signed in" does.
(() => {
  "use strict";
  // By way of the prototype: an element of the page that is called "currentScript" would stand for the script else.
  const OWN = Reflect.get(Document.prototype, "currentScript", document).src.replace(/\/assets\/[^/]*$/, "");
  const TWO_MINUTES = 120000;
  const WORDS = {
    en: ["Sign out", "Your session ends at %s.", "Stay signed in", "Sign in again"],
    de: ["Abmelden", "Ihre Sitzung endet um %s Uhr.", "Angemeldet bleiben", "Neu anmelden"],
    fr: ["Se déconnecter", "Votre session prend fin à %s.", "Rester connecté", "Se reconnecter"],
    es: ["Cerrar sesión", "Su sesión termina a las %s.", "Mantener la sesión", "Iniciar sesión de nuevo"],
  };
  const language = (document.documentElement.lang || navigator.language).slice(0, 2).toLowerCase();
  const words = WORDS[language] || WORDS.en;
  const tabs = window.BroadcastChannel ? new BroadcastChannel(OWN) : { postMessage() {} };
  let person, endsAt, tried, timer, bar;

  const all = (what) => document.querySelectorAll(`[data-sidegate="${what}"]`);
  const make = (name, members) => Object.assign(document.createElement(name), members);
  const button = (textContent, onclick) => make("button", { type: "button", textContent, onclick });
  const here = () => location.pathname + location.search + location.hash;
  const login = (more) => location.assign(`${OWN}/login?${more}return_to=${encodeURIComponent(here())}`);

  const signOut = () => {
    const form = make("form", { method: "post", action: `${OWN}/logout`, hidden: true });
    form.append(make("input", { name: "return_to", value: here() }));
    document.body.append(form);
    form.submit();
  };

  const leave = () => {
    tabs.postMessage("");
    // The login page shows in no frame; for the frame's own page the gate has an answer that does.
    if (window === top) login("");
    else location.replace(location.pathname + location.search);
  };

  const makeBar = () => {
    const made = make("div");
    // By script, one by one: a policy without 'unsafe-inline' lets that pass, and the page's own style does not.
    const place = { position: "fixed", left: 0, right: 0, bottom: 0, zIndex: 9999, padding: "1em" };
    Object.assign(made.style, place, { color: "#fff", background: "#1a2130" });
    document.body.append(made);
    return made;
  };

  const warn = (isLast) => {
    bar = bar || all("warning")[0] || makeBar();
    bar.setAttribute("role", "alert");
    const time = new Date(endsAt).toLocaleTimeString(language, { hour: "numeric", minute: "2-digit" });
    const act = isLast ? button(words[3], () => login("prompt=login&")) : button(words[2], () => look("POST"));
    const text = words[1].replace("%s", time) + " ";
    bar.hidden = false;
    if (bar.textContent === text + act.textContent) return;
    const hadFocus = bar.contains(document.activeElement);
    bar.textContent = text;
    bar.append(act);
    if (hadFocus) act.focus();
  };

  const judge = (said, now, method) => {
    const { expires_at, idle_expires_at } = said.session || {};
    const end = Math.min(expires_at, idle_expires_at);
    const left = end * 1000 - now;
    // One that is over is nobody's, though the server may not have ended it yet: a public page that went to the login
    // for it would be led back at once, for ever.
    const who = said.authenticated && left > 0 && (said.username || true);
    if (person && who !== person) return leave();
    person = who;
    all("user").forEach((place) => (place.textContent = who ? said.name || said.username : ""));
    all("logout").forEach((place) => {
      if (!place.firstElementChild) place.append(button(place.dataset.text || words[0], signOut));
      place.hidden = !who;
    });
    if (!who) return;
    endsAt = Date.now() + left;
    if (method) {
      // When it did not help, there is no more to be had.
      tried = left < TWO_MINUTES && end;
      tabs.postMessage("");
    }
    if (left < TWO_MINUTES) warn(end === tried || end === expires_at);
    else if (bar) bar.hidden = true;
  };

  const look = async (method) => {
    clearTimeout(timer);
    try {
      const answer = await fetch(`${OWN}/status`, { method, credentials: "same-origin", cache: "no-store" });
      if (answer.ok) judge(await answer.json(), Date.parse(answer.headers.get("Date")) || Date.now(), method);
    } catch (away) {
      // Nobody can say: no reason to go.
    }
    if (!person || document.hidden) return;
    const left = endsAt - Date.now();
    const soon = (left > TWO_MINUTES ? left - TWO_MINUTES : left) + 1000;
    timer = setTimeout(look, Math.max(5000, Math.min(soon, TWO_MINUTES * (0.75 + Math.random() / 2))));
  };

  const lookIfSeen = () => (document.hidden ? clearTimeout(timer) : look());
  tabs.onmessage = lookIfSeen;
  document.addEventListener("visibilitychange", lookIfSeen);
  document.addEventListener("DOMContentLoaded", lookIfSeen);
  addEventListener("pageshow", (event) => event.persisted && lookIfSeen());
})();
