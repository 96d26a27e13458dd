// Filters: fields that offer what the typed text may mean, at most 20, and addresses without empty parts. Without this script the
// text is sent as it is, and the page asks which of several is meant.
"use strict";
{
  const PAUSE = 150; // milliseconds without a key before the server is asked

  function dress(box) {
    const input = box.querySelector("input[type=text]");
    if (!input || input.hasAttribute("role")) return;
    const offers = document.createElement("div");
    const said = document.createElement("p");
    Object.assign(offers, { className: "offers", hidden: true });
    Object.assign(said, { className: "vh", role: "status" });
    box.append(offers, said);
    const set = (name, value) => input.setAttribute(`aria-${name}`, value);
    input.setAttribute("role", "combobox");
    set("autocomplete", "list");
    set("expanded", "false");
    let [timer, asked, active] = [0, null, null];

    const options = () => [...offers.querySelectorAll("[role=option]")];
    function choose(option) {
      active?.setAttribute("aria-selected", "false");
      active = option ?? null;
      active?.setAttribute("aria-selected", "true");
      active?.scrollIntoView({ block: "nearest" });
      if (active) set("activedescendant", active.id);
      else input.removeAttribute("aria-activedescendant");
    }
    function close() {
      clearTimeout(timer);
      asked?.abort();
      choose(null);
      offers.hidden = true;
      set("expanded", "false");
    }
    async function open() {
      clearTimeout(timer);
      asked?.abort();
      asked = new AbortController();
      const query = new URLSearchParams([...new FormData(input.form)].filter(([, text]) => text));
      query.set("q", input.value);
      try {
        const answer = await fetch(`${box.dataset.typeahead}?${query}`, { headers: { "HX-Request": "true" }, signal: asked.signal });
        if (answer.headers.has("HX-Redirect")) location.assign(answer.headers.get("HX-Redirect"));
        if (answer.status === 200) show(await answer.text());
      } catch { /* a later key asked again, or nothing answered: the text can still be sent */ }
    }
    function show(html) {
      choose(null);
      offers.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.children);
      offers.hidden = false;
      const list = offers.querySelector("[role=listbox]");
      set("expanded", String(Boolean(list)));
      if (list) set("controls", list.id);
      said.textContent = offers.querySelector(".hint").textContent || `${options().length} offered`;
    }
    function step(by) {
      const all = options();
      const at = all.indexOf(active) + by;
      choose(all[at < 0 ? all.length - 1 : at % all.length]);
    }

    input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(open, PAUSE);
    });
    input.addEventListener("click", () => { if (offers.hidden) open(); });
    input.addEventListener("blur", close);
    input.addEventListener("keydown", async (event) => {
      if (event.isComposing) return;
      const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (by) {
        event.preventDefault();
        if (offers.hidden) await open();
        if (active || by > 0) step(by);
        else choose(options().at(-1));
      } else if (event.key === "Enter" && active) {
        event.preventDefault();
        active.click();
      } else if (event.key === "Escape" && !offers.hidden) {
        event.preventDefault();
        close();
      }
    });
    offers.addEventListener("pointerdown", (event) => event.preventDefault()); // the focus stays in the field
  }

  // A short address: without what was left empty, and with the columns in one list.
  document.addEventListener("formdata", ({ target, formData }) => {
    if (target.method !== "get") return;
    const columns = formData.getAll("cols");
    for (const name of new Set(formData.keys())) {
      const texts = formData.getAll(name).filter((text) => text);
      formData.delete(name);
      for (const text of texts) formData.append(name, text);
    }
    if (columns.length) formData.set("cols", columns.join(","));
  });

  const dressAll = () => document.querySelectorAll("[data-typeahead]").forEach(dress);
  document.addEventListener("htmx:load", dressAll);
  dressAll();
}
