// Keyboard shortcuts. None of them changes anything at Docusign; they can be switched off in the list that "?" opens.
"use strict";
{
  const YEAR = 31536000;
  const has = (pair) => document.cookie.split("; ").includes(pair);
  const visible = (selector) => [...document.querySelectorAll(selector)].find((each) => each.checkVisibility());
  const rows = () => [...document.querySelectorAll("main .table tbody tr")].filter((row) => row.checkVisibility());
  const nameOf = (row) => row?.querySelector("a.name, th a, td a");
  const current = () => document.activeElement.closest("main .table tbody tr");
  let waiting = 0; // when "g" was pressed

  function step(by) {
    const all = rows();
    const at = all.indexOf(current());
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by];
    nameOf(next)?.focus();
    next?.scrollIntoView({ block: "nearest" });
  }
  function go(to) {
    if (to) location.assign(to);
  }
  const deeds = {
    "/": () => visible('[aria-keyshortcuts="/"], main input[type=search]')?.focus(),
    j: () => step(1),
    k: () => step(-1),
    o: () => nameOf(current())?.click(),
    x: () => current()?.querySelector(".tick input")?.click(),
    r: () => (visible("[data-show-changes]") ?? visible('[data-shortcut="r"]'))?.click(),
    g: () => { waiting = Date.now(); },
    "?": () => document.getElementById("keys")?.showModal(),
  };

  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input:not([type=checkbox], [type=radio]), select, textarea, [contenteditable]");
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat && event.key === "r") return;
    if (isTyping || document.querySelector("dialog[open]") || has("keys=off")) return;
    const isSecond = Date.now() - waiting < 1500;
    waiting = 0;
    if (isSecond && "wi".includes(event.key)) go(document.body.dataset[event.key === "w" ? "goW" : "goI"]);
    else if (Object.hasOwn(deeds, event.key)) deeds[event.key]();
    else return;
    event.preventDefault();
  });

  // Preferences of this browser: "keys" and "live", on unless the cookie says off.
  for (const box of document.querySelectorAll("[data-preference]")) {
    const name = box.dataset.preference;
    box.checked = !has(`${name}=off`);
    box.addEventListener("change", () => {
      const secure = location.protocol === "https:" ? "; Secure" : "";
      document.cookie = `${name}=${box.checked ? "on" : "off"}; Path=/; Max-Age=${YEAR}; SameSite=Lax${secure}`;
    });
  }
  for (const button of document.querySelectorAll("[data-open-dialog]")) button.hidden = false;
}
