// A session that nobody uses ends. Who sits there is told two minutes before, and what they have
// typed stays on the page, out of sight, until the same person has signed in again in another tab.
(() => {
  "use strict";
  const box = document.getElementById("idle"), body = document.body;
  const minutes = Number(body.dataset.idle);
  if (!box || !minutes) return;
  const MINUTE = 60_000, WARN = 2 * MINUTE, KEEP = 5 * MINUTE, SEEN = "used-at";
  const says = box.querySelector("#idle-says"), stay = box.querySelector("[data-stay]"), again = box.querySelector("[data-again]");
  const token = () => document.querySelector("[name=csrfmiddlewaretoken]");
  let told = Date.now(); // when the server last heard of a person here
  let touched = told, ended = false;

  // The other tabs of this browser use the same session.
  const share = () => { told = Date.now(); localStorage.setItem(SEEN, String(told)); };
  const shared = () => Math.max(told, Number(localStorage.getItem(SEEN)) || 0);
  const ask = (method) => fetch(`${box.dataset.still}?v=1`, { method, credentials: "same-origin", cache: "no-store",
    headers: method === "POST" ? { "X-CSRFToken": token()?.value ?? "" } : { "HX-Request": "true" } });
  const hide = () => { box.hidden = true; body.classList.remove("ended"); };

  const here = async () => {
    share();
    hide();
    const answer = await ask("POST").catch(() => null);
    if (answer && answer.status !== 204) check();
  };
  // What the server says counts: it may have ended the session, or somebody else sits here now. One
  // question at a time: the late answer to another one would take away the cookie of who has signed
  // in meanwhile.
  let asked = null;
  const check = () => { asked ??= look().finally(() => { asked = null; }); return asked; };
  const look = async () => {
    const answer = await ask("GET").catch(() => null);
    if (!answer?.ok) return;
    const found = await answer.json();
    if (found.who === body.dataset.who) {
      document.querySelectorAll("[name=csrfmiddlewaretoken]").forEach((field) => { field.value = found.token; });
      if (ended) { ended = false; share(); }
      hide();
    } else if (found.who) location.reload();
    else end();
  };
  const end = () => {
    if (!typed()) { location.reload(); return; } // the way to the sign-in page, and back to here
    ended = true;
    says.textContent = "You were signed out because nobody worked here. What you have typed is still on this page: sign in again in another tab, and come back to it.";
    stay.hidden = true;
    again.hidden = false;
    box.hidden = false;
    body.classList.add("ended");
    again.focus();
  };
  const changed = (field) => field.type === "checkbox" || field.type === "radio" ? field.checked !== field.defaultChecked
    : field.tagName === "SELECT" ? [...field.options].some((option) => option.selected !== option.defaultSelected)
    : field.value !== field.defaultValue;
  const typed = () => [...document.querySelectorAll("main form[method=post] :is(input, textarea, select)")]
    .some((field) => field.type !== "hidden" && changed(field));

  const tick = () => {
    if (ended) return;
    const now = Date.now(), left = shared() + minutes * MINUTE - now;
    if (left <= 0) { check(); return; }
    if (left > WARN) { if (!box.hidden) hide(); return; }
    says.textContent = `Nobody has worked here for a while. You will be signed out in ${left > MINUTE ? "two minutes" : "less than a minute"}.`;
    if (!box.hidden) return;
    stay.hidden = false;
    again.hidden = true;
    box.hidden = false;
    stay.focus();
  };
  // Typing is work, also where the form is sent an hour later; a page that refreshes itself is none.
  const active = () => {
    touched = Date.now();
    if (!ended && box.hidden && touched - shared() > Math.min(KEEP, (minutes * MINUTE) / 3)) here();
  };
  ["keydown", "pointerdown"].forEach((name) => document.addEventListener(name, active, { passive: true }));
  stay.addEventListener("click", here);
  document.addEventListener("visibilitychange", () => { if (!document.hidden && (ended || shared() + minutes * MINUTE < Date.now())) check(); });
  window.addEventListener("focus", () => { if (ended) check(); });
  document.addEventListener("htmx:beforeRequest", (event) => { if (ended) event.preventDefault(); });
  // The answer to a refresh would lead the whole page to the sign-in, and what was typed with it.
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    if (event.detail.xhr.getResponseHeader("HX-Redirect")?.startsWith("/login/") && typed()) { event.preventDefault(); end(); }
  });
  share();
  setInterval(tick, 5_000);
})();
