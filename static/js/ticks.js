// Ticked rows: the tick in the head, how many are ticked, and all that match. Without it the form under the list works as well;
// the bar itself comes and goes by the stylesheet. Texts that are written here are marked data-keep, so that polls leave them alone.
"use strict";
{
  const boxesOf = (list) => [...list.querySelectorAll("tbody .tick input:enabled")];
  const partOf = (list, name) => list.querySelector(`.selection [data-${name}]`);

  function tell(list) {
    const boxes = boxesOf(list);
    const number = boxes.filter((box) => box.checked).length;
    const isWhole = number > 0 && number === boxes.length;
    const head = list.querySelector("thead .tick input");
    if (head) Object.assign(head, { checked: isWhole, indeterminate: number > 0 && !isWhole, disabled: !boxes.length });
    const everything = partOf(list, "everything");
    if (everything && !isWhole) everything.disabled = true;
    const isAll = everything ? !everything.disabled : false;
    const offer = partOf(list, "select-all");
    if (offer) offer.hidden = isAll || !isWhole;
    const total = offer?.dataset.selectAll;
    write(partOf(list, "told"), isAll ? `All ${total} matching selected`.replace("  ", " ") : `${number}${isWhole ? " on this page" : ""} selected`);
    for (const part of list.querySelectorAll(".selection [data-verb]")) {
      const { verb, noun } = part.dataset;
      write(part, `${verb} ${isAll ? total || "all matching" : number} ${noun}${!isAll && number === 1 ? "" : "s"}…`);
    }
  }
  function write(part, words) {
    if (part && part.textContent !== words) part.textContent = words;
  }
  function tellAll() {
    document.querySelectorAll("[data-ticks]").forEach(tell);
  }
  function tick(list, isTicked) {
    for (const box of boxesOf(list)) box.checked = isTicked;
    tell(list);
  }

  document.addEventListener("change", ({ target }) => {
    const list = target.closest("[data-ticks]");
    if (!list || !target.matches(".tick input")) return;
    if (target.closest("thead")) tick(list, target.checked);
    else tell(list);
  });
  document.addEventListener("click", ({ target }) => {
    const list = target.closest("[data-ticks]");
    if (target.closest("[data-select-all]")) {
      partOf(list, "everything").disabled = false;
      tell(list);
      list.querySelector(".selection [type=submit]").focus();
    } else if (target.closest("[data-clear-ticks]")) {
      tick(list, false);
      list.querySelector("thead .tick input")?.focus();
    }
  });
  for (const name of ["htmx:afterRequest", "htmx:afterSettle"]) document.addEventListener(name, tellAll);
  window.addEventListener("pageshow", tellAll);
  tellAll();
}
