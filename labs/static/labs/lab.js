// Keyboard, polling that rests while nobody looks, and forms that are sent once. No inline handlers:
// the content security policy forbids them.
(() => {
  "use strict";
  const $ = (selector) => document.querySelector(selector);
  const rows = () => [...document.querySelectorAll("[data-row]")];
  // The address that the chosen row opens, which outlives a refresh of the list, and its version.
  let chosen = null, seen = "";

  const link = (row) => row && row.querySelector("a.open");
  const versionOf = (row) => row?.querySelector("[name=version]")?.value ?? "";
  const choose = (row) => {
    rows().forEach((other) => other.classList.toggle("sel", other === row));
    chosen = row ? link(row)?.getAttribute("href") : null;
    seen = versionOf(row);
    if (row) row.scrollIntoView({ block: "nearest" });
  };
  const step = (by) => {
    const all = rows();
    const at = all.findIndex((row) => row.classList.contains("sel"));
    if (all.length) choose(all[Math.min(all.length - 1, Math.max(0, at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by))]);
  };
  // While the list is being replaced the mark is gone for a moment, and what was chosen still is.
  const marked = () => $("[data-row].sel") || rows().find((row) => chosen && link(row)?.getAttribute("href") === chosen && versionOf(row) === seen);
  const open = () => { const row = marked(); if (row) link(row)?.click(); return Boolean(row); };
  const typing = (target) => target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
  const keysOn = () => localStorage.getItem("single-keys") !== "off";
  const help = () => { const dialog = $("#keys"); if (dialog) { dialog.querySelector("[data-keys-on]").checked = keysOn(); dialog.showModal(); } };
  // What the chosen row offers, pressed at once.
  const press = (key) => { const button = $(`[data-row].sel [data-press="${key}"]`); button?.click(); return Boolean(button); };
  // Whoever takes over comes to where the other one was.
  const changePlaces = () => { const link = $("[data-switch-to]"); if (link) location.assign(`${link.pathname}?next=${encodeURIComponent(location.pathname + location.search)}`); return Boolean(link); };
  const go = (id) => { const tab = document.getElementById(id); if (tab) tab.click(); };

  const actions = {
    "/": () => { const field = $(".bigsearch input") || $("[data-search]"); if (field) { field.focus(); field.select(); } },
    j: () => step(1), k: () => step(-1), "?": help,
    o: () => { const order = $('[data-key="o"]'); if (order) order.click(); else location.assign("/requests/new/"); },
    e: () => $('[data-key="e"]')?.click(), t: () => $('[data-key="t"]')?.click(), l: () => $('[data-key="l"]')?.click(), a: () => $('[data-key="a"]')?.click(), v: () => $('[data-key="v"]')?.click(), f: () => $("[data-filters] select")?.focus(), y: () => $('[data-key="y"]')?.click(),
    r: () => { const sign = $("#sign"); if (sign) { sign.scrollIntoView({ block: "end" }); sign.querySelector("button")?.focus(); } },
    s: () => changePlaces(),
    c: () => press("c"), z: () => press("z"),
    w: () => go("tab-worklist"), u: () => go("tab-unmatched"), p: () => go("tab-patients"),
  };

  // A barcode scanner types like a keyboard, only faster than anybody, and ends with Enter: what it
  // types is searched for and never acts.
  const BURST = 80; // milliseconds between two keys: a scanner takes at most 50, a hand hardly under 100
  let burst = "", timer = 0;
  const act = (key) => {
    const action = keysOn() && actions[key.toLowerCase()];
    return action ? action() !== false : false;
  };
  const scanned = (text, ended) => {
    const field = $("[data-search]");
    if (!field) return;
    field.value = text;
    field.focus();
    if (ended) field.form.requestSubmit();
  };
  const settle = () => { const typed = burst; burst = ""; if (typed.length > 1) scanned(typed, false); else act(typed); };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey && event.key === "." && !event.altKey && !event.metaKey && changePlaces()) { event.preventDefault(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || $("dialog[open]")) return;
    const target = event.target;
    if (target.matches("[data-rows]") && /^(ArrowDown|ArrowUp|Enter)$/.test(event.key)) {
      if (event.key === "Enter" ? open() : (step(event.key === "ArrowDown" ? 1 : -1), true)) event.preventDefault();
      return;
    }
    if (typing(target)) { if (event.key === "Escape") target.blur(); return; }
    if (event.key === "Enter") {
      if (burst) { clearTimeout(timer); const typed = burst; burst = ""; event.preventDefault(); scanned(typed, true); }
      else if ((target === document.body || target.id === "main") && open()) event.preventDefault();
      return;
    }
    if (event.key.length !== 1 || event.key === " ") return;
    // Kept back by a page with keys of its own until it was known to be no scan, or held down.
    if (!event.isTrusted || event.repeat) { if (act(event.key)) event.preventDefault(); return; }
    burst += event.key;
    clearTimeout(timer);
    timer = setTimeout(settle, BURST);
    if (burst.length > 1 || event.key.toLowerCase() in actions) event.preventDefault();
  });

  document.addEventListener("click", (event) => {
    const menu = $(".menu[open]");
    if (menu && !menu.contains(event.target)) menu.open = false;
    if (event.target.closest("[data-print]")) { window.print(); return; }
    if (event.target.closest("[data-help]")) { if (menu) menu.open = false; help(); return; }
    const row = event.target.closest("tr[data-row]");
    if (row && !event.target.closest("a, button, input, label, summary") && !String(getSelection())) link(row)?.click();
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-switch-to]") && changePlaces()) event.preventDefault();
  });
  // The name is chosen, then the code where it needs one, then the PIN, whose last digit sends it.
  // Arrow keys go through the names and stay there.
  let pointed = 0;
  document.addEventListener("pointerdown", () => { pointed = Date.now(); });
  document.addEventListener("change", (event) => {
    const form = event.target.closest("[data-switch]");
    if (form && event.target.name === "who" && Date.now() - pointed < 1000) form.elements[event.target.hasAttribute("data-code") ? "code" : "pin"].focus();
  });
  document.addEventListener("input", (event) => {
    const form = event.target.closest("[data-switch]");
    if (form && event.target.name === "pin" && /^[0-9]{6}$/.test(event.target.value) && form.elements.who.value) form.requestSubmit();
  });
  // Copying needs a secure page; elsewhere the text is selected, and Ctrl-C does it.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copy);
    let said = "Copied";
    try { await navigator.clipboard.writeText(source.textContent); }
    catch { getSelection().selectAllChildren(source); said = "Selected: press Ctrl-C"; }
    button.dataset.word = button.dataset.word || button.textContent;
    button.textContent = said;
    setTimeout(() => { button.textContent = button.dataset.word; }, 2500);
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-keys-on]")) localStorage.setItem("single-keys", event.target.checked ? "on" : "off");
  });
  // The same test from another specimen, such as “pre” and “post”, is no duplicate.
  document.addEventListener("input", (event) => {
    if (event.target.name !== "label") return;
    const key = event.target.value.trim().replace(/\s+/g, " ").toLowerCase();
    document.querySelectorAll("[data-orders] [data-label]").forEach((chip) => {
      chip.classList.toggle("warn", chip.dataset.label === key);
      chip.classList.toggle("off", chip.dataset.label !== key);
    });
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-once]")) return;
    if (event.target.dataset.sent) { event.preventDefault(); return; }
    event.target.dataset.sent = "1";
    // Not before the browser has read the form: it leaves out a button that is disabled, and "Save"
    // of a typed result came as "Check again", so that none could be saved.
    const buttons = event.target.querySelectorAll("button");
    setTimeout(() => buttons.forEach((button) => { button.disabled = true; }));
  });
  // Back from the next page: the form may be sent again.
  window.addEventListener("pageshow", () => document.querySelectorAll("[data-once]").forEach((form) => {
    delete form.dataset.sent;
    form.querySelectorAll("button").forEach((button) => { button.disabled = false; });
  }));

  const polls = (event) => event.target instanceof Element && event.target.matches("[data-poll]");
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (!polls(event)) return;
    // Whoever is choosing from a list, or has put the keyboard into it, keeps what they look at.
    const choosing = event.target.contains(document.activeElement) && document.activeElement.matches("select");
    const busy = choosing || event.target.querySelector("details.cancel[open], details.versions[open]") || event.target.querySelector("form[data-sent]");
    if (document.hidden || busy) event.preventDefault();
  });
  // What a person has opened stays open when the part is replaced.
  let opened = [];
  const label = (summary) => summary.id || summary.textContent.replace(/[\d\s]+/g, "");
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.target.id === "live") opened = [...event.target.querySelectorAll("details[open] > summary")].map(label);
  });
  document.addEventListener("htmx:afterSettle", () => {
    document.querySelectorAll("#live details > summary").forEach((summary) => {
      if (opened.includes(label(summary))) summary.parentElement.open = true;
    });
    opened = [];
    // A form that was refused and is not shown so any more has nothing to blame a field for.
    if (!$("#refused")) document.querySelectorAll("#live [aria-describedby=refused]").forEach((field) => {
      field.removeAttribute("aria-describedby");
      field.removeAttribute("aria-invalid");
    });
    const row = chosen && rows().find((other) => link(other)?.getAttribute("href") === chosen);
    // One that something came for meanwhile is not the one that the person had looked at.
    if (row && versionOf(row) === seen) row.classList.add("sel");
  });
  // A single row is chosen when the page is opened, and never by a refresh.
  if (rows().length === 1 && $("[data-row] [data-press]")) choose(rows()[0]);
  // Whoever takes a match back later must know who has it on paper.
  window.addEventListener("beforeprint", () => {
    const page = $("[data-printed]"), token = $("[name=csrfmiddlewaretoken]");
    if (page && token) fetch(page.dataset.printed, { method: "POST", headers: { "X-CSRFToken": token.value }, keepalive: true }).catch(() => {});
  });
  const connection = (lost) => { const bar = $("#offline"); if (bar) bar.hidden = !lost; };
  ["htmx:sendError", "htmx:timeout"].forEach((name) => document.addEventListener(name, () => connection(true)));
  document.addEventListener("htmx:afterRequest", (event) => {
    const status = event.detail.xhr?.status ?? 0;
    if (status >= 500) connection(true); else if (status > 0) connection(false);
  });
})();
