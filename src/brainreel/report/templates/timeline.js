"use strict";
// Each film strip: pointing previews a window, clicking or the keyboard holds it. Texts enter as text only.
for (const film of document.querySelectorAll("[data-film]")) {
  const data = JSON.parse(document.getElementById(film.dataset.film).textContent);
  const last = data.windows.length - 1;
  const scrub = film.querySelector(".scrub");
  const cursor = film.querySelector(".cursor");
  const panel = film.querySelector(".panel");
  const labels = [...film.querySelectorAll("button.strip-label")];
  let held = data.selected;

  const make = (tag, className, text) => {
    const node = document.createElement(tag);
    node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const shortest = (x) => (x === null ? "–" : (x / 1000).toFixed(2).replace("-", "−"));
  const clock = (seconds) => {
    const tenths = Math.round(seconds * 10);
    const whole = Math.floor(tenths / 10);
    const pad = (x) => String(x).padStart(2, "0");
    const minutes = Math.floor(whole / 60);
    const head = minutes >= 60 ? `${Math.floor(minutes / 60)}:${pad(minutes % 60)}` : `${minutes}`;
    return `${head}:${pad(whole % 60)}${tenths % 10 ? `.${tenths % 10}` : ""}`;
  };
  const place = ([start, end, scan, block, , name]) =>
    [name || `${clock(start)} to ${clock(end)}`, scan, block].filter(Boolean).join(" · ");

  const card = (reader, index) => {
    const [score, rank, gallery, nearest] = reader.readings[index];
    const node = make("article", `card role-${reader.role}`);
    const head = make("header", "card-head");
    head.append(make("h3", "card-name", reader.name));
    const verdict = make("p", "verdict");
    const ranked = rank === null ? "rank –" : gallery === null ? `rank ${rank}` : `rank ${rank} of ${gallery}`;
    verdict.append(make("span", `pill s-${reader.bins[index]}`, shortest(score)), ` ${ranked}`);
    head.append(verdict);
    node.append(head);
    if (!nearest.length) node.append(make("p", "unknown", "nothing decoded"));
    const list = make("ol", "decoded");
    for (let i = 0; i < nearest.length; i += 2) {
      const item = make("li", "");
      item.append(make("span", "words", data.texts[nearest[i]]));
      if (nearest[i + 1] !== null) item.append(" ", make("span", "similarity", shortest(nearest[i + 1])));
      list.append(item);
    }
    if (nearest.length) node.append(list);
    return node;
  };

  const show = (index) => {
    const window = data.windows[index];
    const [start, end] = data.spans[index];
    cursor.style.left = `${(100 * start) / data.width}%`;
    cursor.style.width = `${(100 * (end - start)) / data.width}%`;
    panel.querySelector(".panel-time").textContent = place(window);
    const truths = panel.querySelector(".truths");
    truths.replaceChildren(...window[4].map((text) => make("li", "", data.texts[text])));
    if (!window[4].length) truths.append(make("li", "unknown", "no description"));
    const readers = data.readers.filter((reader) => reader.shown);
    const cards = readers.map((reader) => card(reader, index));
    panel.querySelector(".panel-readers").replaceChildren(...cards);
    scrub.setAttribute("aria-valuenow", index + 1);
    const scores = readers.map((reader) => `${reader.name} ${shortest(reader.readings[index][0])}`);
    scrub.setAttribute("aria-valuetext", [place(window), ...scores].join(", "));
    // What lies below must not jump while the pointer moves along the strip.
    const body = panel.querySelector(".panel-body");
    body.style.minHeight = `${Math.max(parseFloat(body.style.minHeight) || 0, body.offsetHeight)}px`;
  };
  const hold = (index) => show((held = Math.min(last, Math.max(0, index))));
  const at = (event) => {
    const box = scrub.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * data.width;
    const distance = ([start, end]) => Math.max(start - x, x - end, 0);
    let nearest = 0;
    data.spans.forEach((span, i) => {
      if (distance(span) < distance(data.spans[nearest])) nearest = i;
    });
    return nearest;
  };
  const showReaders = () =>
    labels.forEach((label) => label.setAttribute("aria-pressed", data.readers[label.dataset.reader].shown));

  const keys = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10,
    Home: -Infinity, End: Infinity };
  scrub.addEventListener("keydown", (event) => {
    if (!(event.key in keys)) return;
    event.preventDefault();
    hold(held + keys[event.key]);
  });
  scrub.addEventListener("pointermove", (event) => {
    if (event.buttons) hold(at(event));
    else if (event.pointerType === "mouse") show(at(event));
  });
  scrub.addEventListener("pointerdown", (event) => hold(at(event)));
  scrub.addEventListener("pointerleave", () => show(held));
  film.querySelectorAll(".step").forEach((button) =>
    button.addEventListener("click", () => hold(held + Number(button.dataset.step))));
  labels.forEach((label) =>
    label.addEventListener("click", () => {
      const reader = data.readers[label.dataset.reader];
      reader.shown = !reader.shown;
      panel.querySelector(".panel-body").style.minHeight = "";
      showReaders();
      show(held);
    }));
  window.addEventListener("resize", () => {
    panel.querySelector(".panel-body").style.minHeight = "";
    show(held);
  });

  scrub.hidden = panel.hidden = false;
  showReaders();
  hold(held);
}
