"use strict";
(() => {
  const by = (id) => document.getElementById(id);
  const { side, facts } = JSON.parse(by("facts").textContent);
  const drawings = facts.map((_, number) => by(`d${number}`));
  const classes = [...document.querySelectorAll(".class")];
  const worst = [...classes];
  const numberOf = (element) => Number(element.closest("li").id.slice(1));
  const buttonOf = (number) => drawings[number].querySelector("button");

  // ---- filters: what does not fit is hidden, then rows and classes without anything left
  const inputs = ["f-class", "f-flag", "f-score", "f-low", "f-high"].map(by);
  const [inClass, inFlag, inScore, inLow, inHigh] = inputs;
  const numberIn = (input, otherwise) => (input && input.value !== "" ? Number(input.value) : otherwise);

  function filter() {
    const wanted = inClass.value.trim().toLowerCase();
    const exact = classes.some((each) => each.dataset.name.toLowerCase() === wanted);
    const flag = inFlag.value;
    const low = numberIn(inLow, -Infinity), high = numberIn(inHigh, Infinity);
    const byScore = low > -Infinity || high < Infinity;
    let shown = 0;
    for (const each of classes) {
      const name = each.dataset.name.toLowerCase();
      const fits = exact ? name === wanted : name.includes(wanted);
      let inThis = 0;
      for (const row of each.querySelectorAll(".row")) {
        let inRow = 0;
        for (const li of row.querySelectorAll("li[id]")) {
          const flags = li.dataset.f, score = byScore ? li.dataset[inScore.value] : "";
          const isFlagged = flag === "" || (flag === "any" ? flags !== "" : flags.split(" ").includes(flag));
          const isScored = !byScore || (score !== "" && Number(score) >= low && Number(score) <= high);
          li.hidden = !(fits && isFlagged && isScored);
          inRow += !li.hidden;
        }
        row.hidden = inRow === 0 && (flag !== "" || byScore);
        inThis += inRow;
      }
      each.hidden = !fits || (inThis === 0 && (flag !== "" || byScore));
      shown += inThis;
    }
    by("shown").textContent = `${shown} of ${facts.length} drawings`;
    by("nothing").hidden = shown > 0;
  }

  function order() {
    const how = by("f-order").value;
    const sorted = [...worst];
    if (how === "label") sorted.sort((a, b) => a.dataset.label - b.dataset.label);
    if (how === "name") sorted.sort((a, b) => a.dataset.name.localeCompare(b.dataset.name));
    by("classes").append(...sorted);
  }

  const form = by("filters");
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", filter);
  by("f-order").addEventListener("change", order);
  form.addEventListener("reset", () => setTimeout(() => { filter(); order(); }));
  for (const link of document.querySelectorAll("[data-show]")) {
    link.addEventListener("click", () => { form.reset(); inFlag.value = link.dataset.show; setTimeout(filter); });
  }

  // ---- links: #<class> in the words of its name, and whatever is linked to is shown
  function follow() {
    const wanted = decodeURIComponent(location.hash.slice(1));
    const target = by(wanted) || classes.find((each) => each.dataset.name === wanted);
    if (target && target.closest("[hidden]")) { form.reset(); setTimeout(() => target.scrollIntoView()); }
    if (target && target.id !== wanted) location.replace(`#${encodeURIComponent(target.id)}`);
    if (target && /^d\d+$/.test(target.id)) { target.querySelector("button").focus(); }
  }
  window.addEventListener("hashchange", follow);

  // ---- marks: lines for rejected.txt
  const marks = new Set();
  function mark(number, isMarked) {
    isMarked ? marks.add(number) : marks.delete(number);
    drawings[number].classList.toggle("is-marked", isMarked);
    by("marked").hidden = marks.size === 0;
    by("marked-count").textContent = `${marks.size} drawing${marks.size === 1 ? "" : "s"}`;
    by("marked-lines").value = [...marks].map((each) => facts[each][0]).join("\n");
    if (number === current) by("close-mark").checked = isMarked;
  }
  by("marked-select").addEventListener("click", () => by("marked-lines").select());
  by("marked-clear").addEventListener("click", () => [...marks].forEach((each) => mark(each, false)));

  // ---- a drawing, looked at closely
  const dialog = by("close-up");
  let current = -1;
  function put(element, like, label) {
    element.className = like.className.replace("mini", "");
    element.textContent = like.classList.contains("none") ? like.textContent : "";
    element.setAttribute("aria-label", label);
  }
  function look(number) {
    current = number;
    const [path, k, seed, source, lender, box, copy, copyCss, flags] = facts[number];
    const li = drawings[number], mini = li.querySelector(".mini");
    by("close-title").textContent = path;
    put(by("close-drawing"), buttonOf(number), `drawing ${path}`);
    put(by("close-source"), li.closest(".row").querySelector(".source .t"), `labeled image ${source}`);
    if (box) by("close-source").append(hiddenPart(box.split(" ").map(Number)));
    by("close-lender-figure").hidden = !lender;
    if (lender && mini) put(by("close-lender"), mini, `borrowed from ${lender}`);
    by("close-copy-figure").hidden = !copyCss || copy === source;
    by("close-copy").className = `t ${copyCss}`;
    by("close-copy").setAttribute("aria-label", `labeled image ${copy}`);
    const told = [
      ["class", li.closest(".class").dataset.name], ["labeled image", source], ["borrowed from", lender],
      ["hidden rectangle", box && `${box} (left, top, right, bottom)`], ["class score", li.dataset.c],
      ["source score", li.dataset.q], ["looks wrong", flags.join("; ")], ["near-copy of", copy], ["number", k], ["seed", seed],
    ];
    const rows = told.filter(([, value]) => value).flatMap(([name, value]) => [as("dt", name), as("dd", value)]);
    by("close-facts").replaceChildren(...rows);
    by("close-mark").checked = marks.has(number);
    if (!dialog.open) dialog.showModal();
  }
  function as(kind, text) {
    const element = document.createElement(kind);
    element.textContent = text;
    return element;
  }
  function hiddenPart([left, top, right, bottom]) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", `0 0 ${side} ${side}`);
    const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    Object.entries({ x: left, y: top, width: right - left, height: bottom - top }).forEach(([name, value]) => rect.setAttribute(name, value));
    svg.append(rect);
    return svg;
  }
  const visible = () => [...document.querySelectorAll("#classes li[id]")].filter((li) => !li.closest("[hidden]"));
  function move(from, by_) {
    const all = visible(), place = all.indexOf(drawings[from]);
    const next = all[Math.min(all.length - 1, Math.max(0, place + by_))];
    return next ? Number(next.id.slice(1)) : from;
  }
  by("close-before").addEventListener("click", () => look(move(current, -1)));
  by("close-next").addEventListener("click", () => look(move(current, 1)));
  by("close-mark").addEventListener("change", (event) => mark(current, event.target.checked));
  by("classes").addEventListener("click", (event) => {
    if (event.target.matches("button.t")) look(numberOf(event.target));
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => buttonOf(current).focus());

  // ---- keys: one drawing of a class is a tab stop, arrows go on from there
  const steps = { ArrowLeft: -1, ArrowRight: 1 };
  for (const each of classes) {
    each.querySelectorAll("button.t").forEach((button, place) => { button.tabIndex = place === 0 ? 0 : -1; });
  }
  document.addEventListener("keydown", (event) => {
    const isIn = dialog.open ? current : event.target.matches && event.target.matches("button.t") ? numberOf(event.target) : -1;
    if (isIn < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in steps) {
      event.preventDefault();
      const next = move(isIn, steps[event.key]);
      dialog.open ? look(next) : buttonOf(next).focus();
    } else if (event.key === "x") {
      mark(isIn, !marks.has(isIn));
    }
  });

  filter();
  follow();
})();
