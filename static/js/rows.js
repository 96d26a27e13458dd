// Lists that change while somebody looks at them. Rows never move under the pointer: what both answers hold is brought up to
// date where it stands, and a new order is only offered ("7 changes – show"). What has not changed is not touched, so that focus,
// open menus, ticks and half-written filters stay as they are.
"use strict";
{
  const NEW_SECONDS = 2.5;
  const waiting = new WeakMap(); // a region and the answer that it was offered
  const idsOf = (box) => [...box.querySelectorAll("tr[data-id]")].map((row) => row.dataset.id);
  const keyOf = (each) => [each.tagName, each.id, (each.getAttribute("class") ?? "").replace(/ ?\bnew\b/, "")].join(" ");
  const wordsOf = (each) => [...each.childNodes].map((node) => (node.nodeType === Node.TEXT_NODE ? node.data.trim() : "")).join("");

  const parsed = (html, id) => new DOMParser().parseFromString(html, "text/html").getElementById(id);

  // Each of these says whether all was done; what somebody is using just now waits for the next answer.
  function patch(old, fresh) {
    if (old.isEqualNode(fresh) || "keep" in old.dataset) return true;
    if ("rows" in old.dataset) return patchRows(old, fresh);
    if (!old.firstElementChild || wordsOf(old) !== wordsOf(fresh)) return exchange(old, fresh);
    return patchInside(old, fresh);
  }
  function patchInside(old, fresh) {
    let isDone = true;
    let at = old.firstElementChild;
    for (const next of [...fresh.children]) {
      let same = at;
      while (same && keyOf(same) !== keyOf(next)) same = same.nextElementSibling;
      if (!same) {
        old.insertBefore(next, at);
        htmx.process(next);
        continue;
      }
      isDone = leaveAll(at, same) && isDone;
      at = same.nextElementSibling;
      isDone = patch(same, next) && isDone;
    }
    isDone = leaveAll(at, null) && isDone;
    dress(old, fresh);
    return isDone;
  }
  function leaveAll(from, until) {
    const going = [];
    for (let each = from; each !== until; each = each.nextElementSibling) going.push(each);
    return going.map(leave).every(Boolean);
  }
  function dress(old, fresh) {
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    for (const { name } of [...old.attributes]) if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  // A person's own deed, or "show", changes everything but a field in which they are writing.
  let isAsked = false;
  function isUsed(part) {
    const active = document.activeElement;
    if (isAsked) return part.contains(active) && active.matches("input:not([type=checkbox], [type=radio]), select, textarea");
    return part.contains(document.activeElement) || part.matches(":popover-open") || Boolean(part.querySelector(":popover-open, [data-busy]"));
  }
  function exchange(old, fresh) {
    if (isUsed(old)) return false;
    old.replaceWith(fresh);
    htmx.process(fresh);
    return true;
  }
  function leave(part) {
    if (isUsed(part)) return false;
    part.remove();
    return true;
  }

  function patchRows(old, fresh) {
    const [before, after] = [idsOf(old), idsOf(fresh)];
    const region = old.closest("[data-poll]");
    const isSame = before.join() === after.join();
    for (const row of old.querySelectorAll("tr[data-id]")) {
      const next = fresh.querySelector(`tr[data-id="${CSS.escape(row.dataset.id)}"]`);
      if (!next || next.dataset.mark === row.dataset.mark) continue;
      (isSame ? next : row).classList.add("new");
      setTimeout(() => row.classList.remove("new"), NEW_SECONDS * 1000);
    }
    if (isSame || !before.length) {
      offer(region, 0);
      return before.length ? patchInside(old, fresh) : exchange(old, fresh);
    }
    let isDone = true;
    for (const row of old.querySelectorAll("tr[data-id]")) {
      const next = fresh.querySelector(`tr[data-id="${CSS.escape(row.dataset.id)}"]`);
      if (next) isDone = patch(row, next) && isDone;
    }
    offer(region, changes(before, after));
    return isDone;
  }

  // Rows that came or left, and as few as can have moved: the others keep their order (the longest common one).
  function changes(before, after) {
    const kept = after.filter((id) => before.includes(id)).map((id) => before.indexOf(id));
    const longest = [];
    kept.forEach((place, at) => {
      longest[at] = 1 + Math.max(0, ...longest.filter((_, earlier) => kept[earlier] < place));
    });
    return Math.max(before.length, after.length) - Math.max(0, ...longest);
  }
  function offer(region, count) {
    const button = region?.querySelector("[data-show-changes]");
    if (!button) return;
    button.hidden = count === 0;
    const words = count ? `${count} change${count > 1 ? "s" : ""} – show` : "";
    if (button.lastElementChild.textContent !== words) button.lastElementChild.textContent = words;
    if (!count) waiting.delete(region);
  }

  // The answer takes the place of the rows, with ticks, focus and the place on the page as they were.
  function show(region, html) {
    const fresh = parsed(html, region.id);
    if (!fresh) return;
    const [rows, next] = [region, fresh].map((each) => each.querySelector("[data-rows]"));
    const [kept, top] = [regionMemory.keep(region), window.scrollY];
    if (rows && next) {
      const marks = new Set([...rows.querySelectorAll("tr[data-id]")].map((row) => row.dataset.id + row.dataset.mark));
      for (const row of next.querySelectorAll("tr[data-id]")) row.classList.toggle("new", !marks.has(row.dataset.id + row.dataset.mark));
      const shown = next.cloneNode(true);
      rows.replaceWith(shown);
      htmx.process(shown);
    }
    offer(region, 0);
    isAsked = true;
    patch(region, fresh);
    isAsked = false;
    regionMemory.restore(region, kept);
    window.scrollTo({ top, behavior: "instant" });
  }

  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target, xhr, requestConfig, shouldSwap } = event.detail;
    if (!shouldSwap || xhr.status !== 200 || !target.dataset?.poll || !target.querySelector("[data-rows]")) return;
    if (requestConfig.elt !== target) return;
    event.detail.shouldSwap = false;
    const html = xhr.responseText;
    const fresh = parsed(html, target.id);
    if (!fresh) return;
    if (!requestConfig.headers["X-Poll"]) {
      show(target, html); // the person's own deed
      return;
    }
    const asked = target.dataset.poll;
    waiting.set(target, html);
    if (!patch(target, fresh)) target.dataset.poll = asked;
  });
  document.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-show-changes]");
    const region = button?.closest("[data-poll]");
    if (!region || !waiting.has(region)) return;
    const hadFocus = button.contains(document.activeElement);
    show(region, waiting.get(region));
    if (hadFocus) (region.querySelector("tr[data-id] a") ?? region.querySelector("a"))?.focus({ preventScroll: true });
  });
}
