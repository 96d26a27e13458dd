// Theme, dialogs, toasts, and forms that are sent once. Nothing here is needed to use the console.
"use strict";
{
  const root = document.documentElement;
  const TOAST_SECONDS = 8;

  // Theme: shown at once; the server keeps it.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-theme-form]") || !event.submitter) return;
    event.preventDefault();
    const chosen = event.submitter.value;
    if (chosen === "system") delete root.dataset.theme;
    else root.dataset.theme = chosen;
    for (const button of document.querySelectorAll("[data-theme-form] button")) {
      button.setAttribute("aria-pressed", String(button.value === chosen));
    }
    fetch(form.action, { method: "POST", body: new FormData(form, event.submitter), redirect: "manual" })
      .catch(() => toast("warning", "The theme could not be kept for the next page."));
  });

  // Forms: sent once. The mark goes when the answer is there, or when the page comes back from the history.
  function setBusy(form, submitter) {
    form.dataset.busy = "";
    (submitter ?? form.querySelector("[type=submit]"))?.setAttribute("aria-busy", "true");
  }
  function clearBusy(form) {
    delete form.dataset.busy;
    for (const button of form.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
  }
  document.addEventListener("submit", (event) => {
    if (!("busy" in event.target.dataset)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post") return;
    setBusy(form, event.submitter);
    setTimeout(clearBusy, 20000, form); // a navigation that was stopped must not lock the form
  });
  document.addEventListener("htmx:beforeRequest", ({ detail }) => {
    if (detail.elt.matches("form")) setBusy(detail.elt, detail.requestConfig.triggeringEvent?.submitter);
  });
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    const sender = detail.requestConfig?.elt;
    if (sender?.matches("form")) clearBusy(sender);
  });
  window.addEventListener("pageshow", () => document.querySelectorAll("form[data-busy]").forEach(clearBusy));

  // Dialogs: a question swapped into #dialog opens it; the answer "closeDialog" closes it.
  function open(dialog) {
    document.querySelectorAll(":popover-open").forEach((menu) => menu.hidePopover());
    if (dialog && !dialog.open) dialog.showModal();
  }
  const host = document.getElementById("dialog");
  let opener = null; // where the focus goes back to: a deed inside a menu is hidden by then, so the menu's button
  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (detail.target !== host) return;
    const asked = detail.requestConfig?.elt;
    if (asked && !host.contains(asked)) opener = way(asked, detail.requestConfig.triggeringEvent?.submitter);
    open(host);
    host.querySelector("[autofocus]")?.focus();
  });
  document.addEventListener("openDialog", () => open(host));
  document.addEventListener("closeDialog", () => host?.close());
  host?.addEventListener("close", () => {
    document.body.append(region);
    host.replaceChildren();
    goBack();
  });
  function way(asked, button) {
    const menu = asked.closest("[popover]");
    if (!menu && button?.id) return `#${CSS.escape(button.id)}`;
    return menu ? `[popovertarget="${CSS.escape(menu.id)}"]` : `[href="${CSS.escape(asked.getAttribute("href") ?? "")}"]`;
  }
  // A deed that is no longer offered leaves the focus on the heading, so that a reader goes on in the page.
  function goBack() {
    if (!opener) return;
    const heading = document.querySelector("main h1");
    const back = document.querySelector(`main :is(a, button)${opener}`) ?? heading;
    if (back === heading) heading?.setAttribute("tabindex", "-1");
    back?.focus({ preventScroll: true });
  }
  document.addEventListener("htmx:afterSettle", () => {
    if (!host?.open && document.activeElement === document.body) goBack();
  });
  for (const name of ["focusin", "pointerdown"]) {
    document.addEventListener(name, ({ target }) => {
      const isOurs = name === "focusin" && opener && target.matches(`h1, ${opener}`);
      if (!host?.open && !isOurs) opener = null; // the person went on
    });
  }
  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-close], [data-open-dialog], [data-close-toast]") ?? event.target;
    const dialog = target.closest("dialog");
    if (target.matches("[data-open-dialog]")) open(document.getElementById(target.dataset.openDialog));
    else if (target.matches("[data-close-toast]")) target.closest(".toast").remove();
    else if (dialog && target.matches("[data-close]")) {
      event.preventDefault();
      dialog.close();
    } else if (dialog === target && pressedOutside && isOutside(event, dialog)) dialog.close();
  });
  let pressedOutside = false; // a text selection that ends outside is not a click on the backdrop
  document.addEventListener("pointerdown", (event) => {
    pressedOutside = event.target.matches("dialog") && isOutside(event, event.target);
  });
  function isOutside({ clientX: x, clientY: y }, dialog) {
    const box = dialog.getBoundingClientRect();
    return x < box.left || x > box.right || y < box.top || y > box.bottom;
  }

  // Toasts: polite, with a link; good news leaves by itself, bad news stays until it is closed.
  const region = document.getElementById("toasts");
  function toast(level, text, url) {
    const mould = document.querySelector(`template[data-toast="${CSS.escape(level)}"]`)
      ?? document.querySelector('template[data-toast="info"]');
    if (!mould) return;
    const made = mould.content.firstElementChild.cloneNode(true);
    made.querySelector(".text").textContent = text;
    if (url && new URL(url, location.origin).origin === location.origin) {
      const link = made.querySelector("a");
      link.setAttribute("href", url);
      link.hidden = false;
    }
    const home = document.querySelector("dialog[open]") ?? document.body; // what is outside an open dialog cannot be reached
    if (region.parentElement !== home) home.append(region);
    region.append(made);
    settle(made);
  }
  function settle(made) {
    made.querySelector("[data-close-toast]").hidden = false;
    if (["danger", "warning"].includes(made.dataset.tone)) return;
    const leave = () => {
      if (made.matches(":hover, :focus-within")) setTimeout(leave, 2000);
      else made.remove();
    };
    setTimeout(leave, TOAST_SECONDS * 1000);
  }
  document.querySelectorAll(".toasts > .toast").forEach(settle);
  document.addEventListener("toast", ({ detail }) => {
    for (const { level, text, url } of detail.toasts ?? []) toast(level, text, url);
  });
  const isPoll = (detail) => Boolean(detail.requestConfig?.headers["X-Poll"]);
  document.addEventListener("htmx:responseError", ({ detail }) => {
    const told = (detail.xhr.getResponseHeader("HX-Trigger") ?? "").includes('"toast"');
    if (told || isPoll(detail)) return;
    const status = detail.xhr.status;
    if (status === 403) toast("error", "You may not do this, or the page was open too long. Load it again.");
    else if (status === 404) toast("error", "It is not there any more, or not visible to you.");
    else toast("error", `The console failed (${status}). Look at how things are before you send it again.`);
  });
  for (const name of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, ({ detail }) => {
      if (!isPoll(detail)) toast("error", "The console did not answer. Look at how things are before you send it again.");
    });
  }
}
