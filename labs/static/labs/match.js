// Keys of the matching screen. They only move the focus or follow a link, but for U, which takes the
// match back: what attaches is the button that has the focus, and Enter presses it. A barcode scanner types like a keyboard and ends with
// Enter, so keys that come faster than anybody types are a scan, and a scan only ever searches.
(() => {
  "use strict";
  const page = document.querySelector(".match");
  if (!page) return;
  page.classList.add("m-js");
  const BURST = 80; // milliseconds between two keys: a scanner takes at most 50, a hand hardly under 100
  let keys = "", last = 0, timer = 0;

  const focus = (selector) => {
    const element = page.querySelector(selector);
    if (!element) return false;
    element.focus();
    element.select?.();
    element.scrollIntoView({ block: "nearest" });
    return true;
  };
  const press = (selector) => {
    const button = page.querySelector(selector);
    button?.click();
    return Boolean(button);
  };
  const follow = (key) => {
    const link = page.querySelector(`[data-key="${key}"]`);
    link?.click();
    return Boolean(link);
  };
  const choose = (number) =>
    focus(`#card-${number} [name=typed_name]`) || focus(`#card-${number} .m-attach`);
  const actions = {
    1: () => choose(1), 2: () => choose(2), 3: () => choose(3),
    n: () => focus("#none"), s: () => focus("#find"), h: () => focus("#hold"),
    c: () => focus("#looked"),
    // The one key that acts: a slip is taken back at once, and what it takes back waits to be matched.
    u: () => press("#undo-it") || press("#undo-now") || focus("#reason"),
    j: () => follow("j"), k: () => follow("k"),
  };

  const settle = () => {
    const typed = keys;
    keys = "";
    if (typed.length > 1) {
      const box = page.querySelector("#find");
      if (!box) return;
      box.value = typed;
      box.focus();
      box.dispatchEvent(new Event("input", { bubbles: true }));
    } else if (!actions[typed.toLowerCase()]?.()) {
      // No key of this page: the site around it may know it. It was kept back until it was
      // known to be no scan.
      document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: typed, bubbles: true, cancelable: true }));
    }
  };

  // Before the site's own listener, which would act on the first key of a scan.
  document.addEventListener("keydown", (event) => {
    if (!event.isTrusted || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open]")) return;
    const now = performance.now();
    const quick = now - last < BURST;
    last = now;
    if (event.key === "Enter" && (quick || keys)) return event.preventDefault();
    const field = event.target.closest?.("input:not([type=radio], [type=checkbox]), select, textarea");
    if (field && event.key === "Escape") field.blur();
    if (field || event.key.length !== 1 || event.key === " ") return;
    if (localStorage.getItem("single-keys") === "off") return;
    event.preventDefault();
    keys += event.key;
    clearTimeout(timer);
    timer = setTimeout(settle, BURST);
  }, true);

  // That somebody is here is told to colleagues by what they do; that the page asks is no such thing.
  let active = true;
  ["keydown", "pointerdown", "pointermove", "wheel"].forEach((name) => document.addEventListener(name, () => { active = true; }, { passive: true }));
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.target.id !== "changed" || !active) return;
    event.detail.parameters.active = "1";
    active = false;
  });

  // The admin has no other place where single keys are switched off.
  const keysOn = page.querySelector("[data-keys-on]");
  if (keysOn) {
    keysOn.checked = localStorage.getItem("single-keys") !== "off";
    keysOn.addEventListener("change", () => localStorage.setItem("single-keys", keysOn.checked ? "on" : "off"));
  }

  // A form is sent once, also in the admin, which has no script of the site's.
  const send = (form, once) => {
    form.dataset.sent = once ? "1" : "";
    form.querySelectorAll("button").forEach((button) => { button.disabled = once; });
  };
  page.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    if (event.target.dataset.sent) event.preventDefault();
    else send(event.target, true);
  });
  window.addEventListener("pageshow", () => page.querySelectorAll("form[data-sent]").forEach((form) => send(form, false)));

  // After half a minute a match is taken back with a reason: the server says so too.
  const undo = page.querySelector(".m-undo");
  if (undo) setTimeout(() => undo.remove(), Number(undo.dataset.seconds) * 1000);

  page.querySelector(".m-problem")?.focus();
})();
