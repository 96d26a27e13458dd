// Regions that keep themselves fresh. They ask our own server, never Docusign, and only while somebody can see them.
// A region has an id; its answer is the region again (same id), or 204 when nothing moved.
"use strict";
{
  const SLOWEST = 300;
  const states = new WeakMap();
  const isStopped = () => document.cookie.split("; ").includes("live=off");

  // What a person is in the middle of must survive: then the region waits for its next turn.
  function isInUse(region) {
    if (region.querySelector("[data-rows]")) return Boolean(region.querySelector("[data-busy]")); // rows.js leaves it alone
    if (region.querySelector(":popover-open, [data-busy]")) return true;
    const active = document.activeElement;
    return region.contains(active) && active.matches("input:not([type=checkbox], [type=radio]), select, textarea");
  }

  function keep(region) {
    const ticks = [...region.querySelectorAll("input[type=checkbox]:checked")].map((box) => [box.name, box.value].join("\n"));
    const open = [...region.querySelectorAll("details[open][id]")].map((part) => part.id);
    const active = region.contains(document.activeElement) ? document.activeElement : null;
    const carried = [...region.querySelectorAll("[data-carried][id]")];
    return { ticks, open, carried, focus: active && { id: active.id, href: active.getAttribute("href"), name: active.name, value: active.value } };
  }

  function restore(region, { ticks, open, carried, focus }) {
    for (const part of carried) if (!part.isConnected) region.querySelector(`#${CSS.escape(part.id)}`)?.replaceWith(part);
    const wanted = new Set(ticks);
    for (const box of region.querySelectorAll("input[type=checkbox]")) {
      if (!box.name || box.checked || !wanted.has([box.name, box.value].join("\n"))) continue;
      box.checked = true;
      box.dispatchEvent(new Event("change", { bubbles: true }));
    }
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (!focus || region.contains(document.activeElement)) return;
    const same = [...region.querySelectorAll("a, button, input, [tabindex]")].find((each) => (
      focus.id ? each.id === focus.id
        : focus.href ? each.getAttribute("href") === focus.href
          : each.name && each.name === focus.name && each.value === focus.value
    ));
    same?.focus({ preventScroll: true });
  }

  window.regionMemory = { keep, restore }; // rows.js swaps a part of a region itself

  const load = (region, url, headers) => (
    htmx.ajax("GET", url, { source: region, target: region, swap: "outerHTML", headers }).catch(() => {}) // counted below
  );

  // Between question and answer a person may do something. What they are in the middle of makes a poll wait for its next turn;
  // what they have done is in the reload that waits behind the answer, which would take the region that it is for.
  const underWay = new WeakSet();
  const outdated = new WeakSet();
  const memory = new WeakMap();
  document.addEventListener("htmx:beforeSend", ({ detail }) => underWay.add(detail.requestConfig.elt));
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    const { elt, verb, headers } = detail.requestConfig;
    if (verb !== "get" || elt !== detail.target || !elt.matches("[data-poll], [data-reload-on]")) return;
    if (outdated.has(elt) || (headers["X-Poll"] && isInUse(elt))) detail.shouldSwap = false;
    else memory.set(elt, keep(elt));
  });
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    const region = detail.requestConfig?.elt;
    underWay.delete(region);
    outdated.delete(region);
    const fresh = memory.has(region) && !region.isConnected && document.getElementById(region.id);
    if (fresh) restore(fresh, memory.get(region));
    memory.delete(region);
  });

  // Polling
  const seconds = (region) => Math.max(5, Number(region.dataset.pollSeconds) || 20);
  function turn() {
    if (document.hidden || isStopped()) return;
    for (const region of document.querySelectorAll("[data-poll]:not([data-poll-final])")) {
      const state = states.get(region);
      if (!state) states.set(region, { due: Date.now() + seconds(region) * 1000, failures: 0 });
      else if (Date.now() >= state.due && !underWay.has(region) && !isInUse(region)) load(region, region.dataset.poll, { "X-Poll": "1" });
    }
  }
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    const region = detail.requestConfig?.elt;
    const state = region && states.get(region);
    if (!state) return;
    state.failures = detail.successful ? 0 : state.failures + 1;
    state.due = Date.now() + Math.min(SLOWEST, seconds(region) * 2 ** state.failures) * 1000;
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    for (const region of document.querySelectorAll("[data-poll]")) {
      const state = states.get(region);
      if (state) state.due = 0;
    }
    age();
    pass();
    turn();
  });

  // Named events: every outermost region that names one reloads its own address.
  const heard = new Set();
  function listen() {
    const names = [...document.querySelectorAll("[data-reload-on]")].flatMap((each) => each.dataset.reloadOn.split(/\s+/));
    for (const name of names) {
      if (!name || heard.has(name)) continue;
      heard.add(name);
      document.addEventListener(name, () => {
        const own = `[data-reload-on~="${CSS.escape(name)}"]`;
        for (const region of document.querySelectorAll(own)) {
          if (region.parentElement.closest(own)) continue;
          if (underWay.has(region)) outdated.add(region);
          load(region, region.dataset.url ?? region.dataset.poll ?? location.pathname + location.search, {});
        }
      });
    }
  }
  document.addEventListener("htmx:load", listen);
  listen();

  // Freshness: a page that stays open says how old it has become.
  function age() {
    for (const line of document.querySelectorAll(".fresh[data-as-of]")) {
      const old = (Date.now() - Date.parse(line.dataset.asOf)) / 1000;
      const share = old / Number(line.dataset.interval);
      const level = share > 3 ? "stale" : share > 1.5 ? "late" : "ok";
      line.dataset.age = level;
      const minutes = Math.floor(old / 60);
      const words = minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h`;
      line.querySelector("[data-old]").textContent = level === "ok" ? "" : `, ${words} old`;
    }
  }
  // What was "3 min ago" does not stay so. Whole days are the server's, which knows the person's zone.
  function pass() {
    for (const time of document.querySelectorAll("time:is(.t-ago, .t-relative)")) {
      if (!/^just now$|(min|h) ago$/.test(time.textContent)) continue;
      const minutes = Math.floor((Date.now() - Date.parse(time.dateTime)) / 60000);
      if (minutes < 1) continue;
      const words = minutes < 60 ? `${minutes} min ago` : `${Math.floor(minutes / 60)} h ago`;
      if (time.textContent !== words) time.textContent = words;
    }
  }
  // htmx notes the address in the session storage, search words and all; without a history cache nobody needs it.
  for (const name of ["DOMContentLoaded", "htmx:pushedIntoHistory", "htmx:replacedInHistory"]) {
    document.addEventListener(name, () => sessionStorage.removeItem("htmx-current-path-for-history"));
  }
  setInterval(turn, 1000);
  setInterval(age, 30000);
  setInterval(pass, 30000);
}
