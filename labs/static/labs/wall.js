// A screen that nobody touches: it says when what it shows is out of date, and comes back by itself.
(() => {
  "use strict";
  const offline = (lost) => { document.getElementById("offline").hidden = !lost; };
  ["htmx:sendError", "htmx:timeout"].forEach((name) => document.addEventListener(name, () => offline(true)));
  document.addEventListener("htmx:afterRequest", (event) => {
    const status = event.detail.xhr?.status ?? 0;
    if (status > 0) offline(status >= 500);
  });
  // Once a day everything anew: another version of the page, another year for the cookie.
  setTimeout(() => location.reload(), 24 * 60 * 60 * 1000);
})();
