// Keys of the matching screen. They only ever move the focus or follow a link: what writes is the
// button that has the focus, and Enter presses it. A barcode scanner types like a keyboard and ends
// with Enter, so a burst of keys is taken for a scan and only ever searches.
(() => {
  const page = document.querySelector(".match");
  if (!page) return;
  page.classList.add("m-js");
  const BURST = 45; // milliseconds between two keys; nobody types that fast, every scanner does
  let keys = "", last = 0, timer = 0;

  const focus = (selector) => {
    const element = page.querySelector(selector);
    if (!element) return false;
    element.focus();
    element.select?.();
    element.scrollIntoView({ block: "nearest" });
    return true;
  };
  const choose = (number) =>
    focus(`#card-${number} [name=typed_name]`) || focus(`#card-${number} .m-attach`);

  const act = (key) => {
    if (/^[1-3]$/.test(key)) return choose(key);
    if (key === "n") return focus("#none");
    if (key === "s") return focus("#find");
    if (key === "h") return focus("#hold");
    if (key === "u") return focus("#reason");
    page.querySelector(`[data-key="${CSS.escape(key)}"]`)?.click();
  };
  const settle = () => {
    const typed = keys;
    keys = "";
    if (typed.length === 1) return act(typed.toLowerCase());
    const box = page.querySelector("#find");
    if (!box || !typed) return;
    box.value = typed;
    box.focus();
    box.dispatchEvent(new Event("input", { bubbles: true }));
  };

  document.addEventListener("keydown", (event) => {
    const now = performance.now();
    const quick = now - last < BURST;
    last = now;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const inField = event.target.closest?.("input:not([type=radio]), select, textarea");
    if (event.key === "Escape" && inField) return inField.blur();
    if (event.key === "Enter" && (quick || keys)) return event.preventDefault();
    if (inField || event.key.length !== 1 || event.key === " ") return;
    keys += event.key;
    clearTimeout(timer);
    timer = setTimeout(settle, BURST);
  });

  page.querySelector(".m-problem")?.focus();
})();
