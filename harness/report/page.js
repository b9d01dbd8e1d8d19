// Sorting, filtering and playing on the static page of a run. Without it the page reads as it stands: links lead to the
// sounds themselves. Nothing is fetched; what is known of a line stands in its cells and data attributes.
"use strict";
(() => {
  const table = document.getElementById("mixtures");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const form = document.getElementById("find");
  const where = document.getElementById("where");
  const count = form.querySelector("output");
  const column = (row, name) => row.querySelector(`[data-c="${name}"]`);
  const labels = (row) => Array.from(row.querySelectorAll("[data-l]"), (node) => node.textContent);
  const facts = rows.map((row) => {
    const cells = row.dataset.w ? row.dataset.w.split("|") : [];
    return {
      row, cells,
      text: row.textContent.toLowerCase().replaceAll("−", "-"),
      score: row.dataset.v ? Number(row.dataset.v) : null,
      kinds: (row.dataset.k || "").split(" "),
      snrs: row.dataset.n ? row.dataset.n.split(" ").map(Number) : [],
      repeated: row.dataset.r || "no",
      targets: row.querySelectorAll('[data-l="r"]').length,
      labels: new Set(labels(row)),
      wrong: cells.filter((cell) => { const [a, b] = cell.split(">"); return a !== b; }).length,
      flags: column(row, "notes").textContent !== "",
    };
  });

  // What is asked for: the address after # (where charts lead) and the form say the same.
  const told = {loss: "lost to", reference: "reference", estimate: "heard as", label: "class", targets: "targets",
    repeated_class: "class occurs twice", low: "from dB", high: "below dB", snr_low: "SNR from", snr_high: "SNR below",
    text: "text", flags: "flagged", mixture: "mixture"};
  let asked = {};
  const tests = {
    loss: (f, v) => f.kinds.includes(v),
    label: (f, v) => f.labels.has(v),
    targets: (f, v) => f.targets === Number(v),
    repeated_class: (f, v) => f.repeated === v,
    low: (f, v) => f.score !== null && f.score >= Number(v),
    high: (f, v) => f.score !== null && f.score < Number(v),
    text: (f, v) => f.text.includes(v.toLowerCase().replaceAll("−", "-")),
    flags: (f) => f.flags,
  };
  const matches = (fact) => {
    for (const key of Object.keys(tests)) if (asked[key] && !tests[key](fact, asked[key])) return false;
    if (asked.reference && asked.estimate && !fact.cells.includes(`${asked.reference}>${asked.estimate}`)) return false;
    if (asked.snr_low || asked.snr_high) {
      const low = asked.snr_low ? Number(asked.snr_low) : -Infinity, high = asked.snr_high ? Number(asked.snr_high) : Infinity;
      if (!fact.snrs.some((snr) => snr >= low && snr < high)) return false;
    }
    return true;
  };
  const show = () => {
    let shown = 0;
    for (const fact of facts) {
      const visible = matches(fact);
      fact.row.hidden = !visible;
      shown += visible;
    }
    count.textContent = `${shown} of ${rows.length}`;
    const listed = Object.entries(asked).filter(([key, value]) => value && key in told && key !== "mixture");
    where.textContent = listed.map(([key, value]) => `${told[key]} ${value}`).join(", ");
    for (const input of form.elements) if (input.name) {
      if (input.type === "checkbox") input.checked = Boolean(asked[input.name]); else input.value = asked[input.name] || "";
    }
  };
  const read = () => {
    asked = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    if (!Object.keys(asked).some((key) => key in told)) asked = {};
    show();
    if (asked.mixture) {
      const row = document.getElementById(`mixture=${asked.mixture}`);
      if (row) { row.scrollIntoView({block: "center"}); row.tabIndex = -1; row.focus({preventScroll: true}); }
    } else if (Object.keys(asked).length) document.getElementById("all").scrollIntoView();
  };
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => {
    for (const input of form.elements) if (input.name) {
      const value = input.type === "checkbox" ? (input.checked ? "yes" : "") : input.value;
      if (value) asked[input.name] = value; else delete asked[input.name];
    }
    show();
  });
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    asked = {};
    history.replaceState(null, "", location.pathname + location.search);
    show();
  });
  addEventListener("hashchange", read);

  // Sorting: a heading becomes a button; equal lines keep their order.
  const natural = new Intl.Collator("en", {numeric: true}).compare;
  const keys = {
    mixture: (f) => column(f.row, "mixture").textContent,
    score: (f) => f.score,
    references: (f) => f.targets,
    estimates: (f) => f.row.querySelectorAll('[data-l="e"]').length,
    wrong: (f) => f.wrong,
  };
  const compare = (a, b) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return typeof a === "string" ? natural(a, b) : a - b;
  };
  for (const heading of table.tHead.rows[0].cells) {
    const key = heading.dataset.sort;
    if (!key) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const sorted = facts.map((fact, place) => [keys[key](fact), place, fact.row]);
      sorted.sort((a, b) => {
        const undefinedLast = (a[0] === null) - (b[0] === null);
        return undefinedLast || (down ? -1 : 1) * compare(a[0], b[0]) || a[1] - b[1];
      });
      body.append(...sorted.map((entry) => entry[2]));
    });
  }

  // Playing: one player for all; another sound of the same mixture goes on where the last one was.
  const player = document.getElementById("player");
  const audio = player.querySelector("audio");
  const name = player.querySelector("span");
  let playing = null;
  const play = (link) => {
    const row = link.closest("tr");
    const same = playing && playing.closest("tr") === row;
    const at = same ? audio.currentTime : 0;
    if (playing) { playing.classList.remove("on"); playing.closest("tr").classList.remove("playing"); }
    playing = link;
    link.classList.add("on");
    row.classList.add("playing");
    player.hidden = false;
    name.textContent = `${column(row, "mixture").textContent.trim()}: ${link.dataset.t || ""} ${link.textContent}`;
    audio.src = link.href;
    if (at) audio.addEventListener("loadedmetadata", () => { audio.currentTime = Math.min(at, audio.duration || at); }, {once: true});
    audio.play().catch(() => { name.textContent += " (cannot be played here)"; });
  };
  table.addEventListener("click", (event) => {
    const link = event.target.closest("a.s");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (link === playing && !audio.paused) audio.pause(); else if (link === playing) audio.play(); else play(link);
  });
  read();
})();
