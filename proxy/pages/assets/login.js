// The sign-in form with script: shows and hides the password, tells of Caps Lock, folds the field for a code away, says
// that it is being sent, and leads on when somebody signed in from another tab. Everything works without it.
// It stands in the head and is not deferred: what is folded away must be so before it is painted.
(() => {
  "use strict";
  const STALLED_MS = 25000; // longer than we and the provider take together (login.max_concurrent, keycloak.timeout)
  const find = (selector) => document.querySelector(selector);
  const on = (target, names, listener) => names.forEach((name) => target && target.addEventListener(name, listener));

  const hide = (password, button) => {
    if (!password) return;
    password.type = "password";
    if (button) button.setAttribute("aria-pressed", "false");
  };

  const letShow = (password, button) => {
    // The press does not take the focus, so that whoever types goes on where the caret was.
    on(button, ["mousedown"], (event) => event.preventDefault());
    on(button, ["click"], () => {
      const { selectionStart: from, selectionEnd: to } = password;
      const isShown = password.type === "text";
      password.type = isShown ? "password" : "text";
      button.setAttribute("aria-pressed", String(!isShown));
      password.setSelectionRange(from, to);
    });
  };

  const tellCapsLock = (password, hint) => {
    const tell = (isOn) => {
      const words = isOn ? hint.dataset.words : "";
      if (hint.textContent !== words) hint.textContent = words;
    };
    on(password, ["keydown", "keyup", "mousedown"], (event) => {
      if (event.getModifierState) tell(event.getModifierState("CapsLock"));
    });
    on(password, ["blur"], () => tell(false));
  };

  const letUnfold = (button, field) => {
    const otp = field.querySelector("input");
    const unfold = () => {
      field.classList.remove("folded");
      button.remove();
    };
    on(button, ["click"], () => {
      unfold();
      otp.focus();
    });
    if (otp.value) unfold(); // the browser put back what was there
  };

  const watchSending = (form, password) => {
    // A company's own form may lack either; the form must work all the same.
    const button = form.querySelector("[type=submit], button:not([type])") || document.createElement("button");
    const slow = find("#slow") || document.createElement("p");
    const reveal = find("#reveal");
    const words = button.textContent;
    let stalled;
    const begin = () => {
      button.setAttribute("aria-disabled", "true"); // not "disabled": that would take the focus away
      button.textContent = button.dataset.sending || words;
      slow.textContent = "";
      stalled = setTimeout(() => {
        end();
        slow.textContent = slow.dataset.words || "";
      }, STALLED_MS);
    };
    const end = () => {
      clearTimeout(stalled);
      button.removeAttribute("aria-disabled");
      button.textContent = words;
    };
    const isSending = () => button.hasAttribute("aria-disabled");
    on(form, ["submit"], (event) => {
      if (isSending()) {
        event.preventDefault();
        return;
      }
      hide(password, reveal);
      begin();
    });
    on(window, ["pagehide"], () => {
      // What was typed is on its way, or not wanted any more; the back button shall find nothing.
      hide(password, reveal);
      form.querySelectorAll("#password, #otp").forEach((input) => (input.value = ""));
    });
    on(window, ["pageshow"], end);
    return isSending;
  };

  const noticeLogins = (form, isSending) => {
    let isAsking = false;
    const look = async () => {
      if (document.hidden || isAsking || isSending()) return;
      isAsking = true;
      try {
        const answer = await fetch(form.dataset.status, { headers: { Accept: "application/json" }, cache: "no-store" });
        if (answer.ok && (await answer.json()).authenticated && !isSending()) {
          location.replace(`${form.getAttribute("action")}?return_to=${encodeURIComponent(form.elements.return_to.value)}`);
        }
      } catch (away) {
        // Nobody can say, so the form stays.
      }
      isAsking = false;
    };
    on(document, ["visibilitychange"], look);
    on(window, ["focus"], look);
    on(window, ["pageshow"], (event) => event.persisted && look());
  };

  document.documentElement.classList.add("script");
  on(document, ["DOMContentLoaded"], () => {
    const form = find("#login");
    const password = find("#password");
    if (!form) return;
    if (password && find("#reveal")) letShow(password, find("#reveal"));
    if (find("#caps")) tellCapsLock(password, find("#caps"));
    if (find("#unfold") && find("#otp-field")) letUnfold(find("#unfold"), find("#otp-field"));
    const isSending = watchSending(form, password);
    if (form.dataset.status) noticeLogins(form, isSending);
  });
})();
