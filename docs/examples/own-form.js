// A company's own form: it asks Sidegate for a token, and posts JSON. See README, "Your own form".
const LOGIN = "/_sidegate/login";
const SENTENCES = { invalid_credentials: "That did not work.", throttled: "Too many tries. Please wait a while." };
const form = document.getElementById("own-form");
const ask = (url, more) => fetch(url, { headers: { Accept: "application/json", "Content-Type": "application/json" }, ...more });
const leave = (url) => location.assign(url);
let token;

ask(LOGIN + location.search).then(async (answer) => { // ?return_to=/reports says where to go afterwards
  if (answer.redirected) return leave(answer.url); // signed in already
  const { csrf_token, otp, providers } = await answer.json();
  token = csrf_token;
  form.otp.closest("p").hidden = otp === "hidden"; // or "optional", or "required"
  for (const { label, url } of providers) document.getElementById("providers").append(Object.assign(document.createElement("a"), { textContent: label, href: url }), " ");
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const fields = { ...Object.fromEntries(new FormData(form)), csrf_token: token };
  const said = await (await ask(LOGIN, { method: "POST", body: JSON.stringify(fields) })).json();
  if (said.redirect_url) return leave(said.redirect_url); // signed in, or to Keycloak for what the account still needs
  token = said.csrf_token || token; // each answer brings a fresh one
  form.password.value = form.otp.value = "";
  document.getElementById("problem").textContent = SENTENCES[said.code] || "Signing in is not possible right now.";
});
