// Sliders, and what they would earn: the numbers come from the server, which asks the code that scores runs. One
// question is under way at a time; the last position of the sliders is always asked for.

const board = document.getElementById("board");
if (board) start(board.dataset.run);

function start(run) {
  const classes = [...document.querySelectorAll(".class")].map((row) => ({
    label: row.dataset.label,
    slider: row.querySelector("input[type=range]"),
    number: row.querySelector("input[type=number]"),
  }));
  const all = document.getElementById("all");
  const against = document.getElementById("against");
  const say = document.getElementById("said");
  let fallback = Number(all.value);
  let asking = false;
  let again = false;

  // The number is what counts; the slider is its nearest mark.
  const set = (one, value) => {
    one.number.value = String(value);
    one.slider.value = String(value);
  };
  const asked = () => ({
    default: fallback,
    ...Object.fromEntries(classes.map((one) => [one.label, Number(one.number.value)])),
  });

  async function post(address, content) {
    const answer = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ run, thresholds: asked(), ...content }),
    });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error || answer.statusText);
    return found;
  }

  async function ask() {
    again = true;
    if (asking) return;
    asking = true;
    while (again) {
      again = false;
      const begun = performance.now();
      try {
        show(await post("/thresholds/evaluate", { against: against.value }));
        board.dataset.took = String(Math.round(performance.now() - begun));
        if (say.dataset.error) tell("");
      } catch (error) {
        tell(error.message, true);
      }
    }
    asking = false;
    board.dataset.settled = String(Number(board.dataset.settled || 0) + 1);
  }

  function tell(words, error = false) {
    say.textContent = words;
    say.className = error ? "warn" : "";
    say.dataset.error = error ? "yes" : "";
  }

  for (const one of classes) {
    one.slider.addEventListener("input", () => {
      one.number.value = one.slider.value;
      ask();
    });
    one.number.addEventListener("input", () => {
      if (!one.number.checkValidity() || one.number.value === "") return;
      one.slider.value = one.number.value;
      ask();
    });
  }
  all.addEventListener("input", () => {
    fallback = Number(all.value);
    for (const one of classes) set(one, all.value);
    all.nextElementSibling.textContent = fallback.toFixed(3);
    ask();
  });
  against.addEventListener("change", ask);
  for (const button of document.querySelectorAll("[data-set]")) {
    button.addEventListener("click", async () => {
      try {
        button.disabled = true;
        const found = await post("/thresholds/named", { against: button.dataset.set });
        fallback = found.thresholds.default;
        for (const one of classes) set(one, found.thresholds[one.label]);
        all.value = String(fallback);
        all.nextElementSibling.textContent = fallback.toFixed(3);
        document.getElementById("gain").textContent = found.words;
        await ask();
      } catch (error) {
        tell(error.message, true);
      } finally {
        button.disabled = false;
      }
    });
  }
  document.getElementById("save").addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const found = await post("/thresholds/save", { name: new FormData(event.target).get("name") });
      tell(`saved as ${found.file}${found.marked ? ", marked as made on a forbidden split" : ""}`);
    } catch (error) {
      tell(error.message, true);
    }
  });

  function show(found) {
    for (const [name, metric] of Object.entries(found.metrics)) {
      const digits = name === "capi_sdri" ? 3 : 1;
      const cells = document.querySelector(`[data-metric=${name}]`).cells;
      cells[1].textContent = number(metric.value, digits);
      cells[2].textContent = range(metric.ci_low, metric.ci_high, digits === 3 ? 2 : 1);
      cells[3].textContent = number(metric.delta, digits, true);
      cells[4].textContent = range(metric.delta_low, metric.delta_high, digits === 3 ? 2 : 1, true);
    }
    const c = found.counts;
    document.getElementById("counts").textContent =
      `${c.estimates} estimates: ${c.right} right, ${c.false} false, ${c.missed} missed · labels exactly right in ` +
      `${c.exact} of ${c.mixtures} · CAPI-SDRi defined in ${c.defined}` +
      (found.resamples < 10000 ? ` · intervals from ${found.resamples} resamples` : "") +
      (found.few ? ` · ${found.few}` : "");
    const more = found.n_flipped > found.flipped.length ? `, ${found.flipped.length} shown` : "";
    document.getElementById("n-flipped").textContent = `than by ${found.against}: ${found.n_flipped}${more}`;
    document.getElementById("flipped").replaceChildren(...found.flipped.map(row));
  }

  function row(flip) {
    const line = document.createElement("tr");
    const address = `/mixture?${new URLSearchParams({ run, id: flip.id })}`;
    line.tabIndex = 0;
    line.dataset.href = address;
    const link = document.createElement("a");
    link.href = address;
    link.textContent = flip.id;
    const change = (flip.now ?? 0) - (flip.before ?? 0);
    const labels = flip.exact === flip.exact_before ? "" : flip.exact ? "fixed" : "broken";
    const texts = [number(flip.before, 2), number(flip.now, 2), number(change, 2, true), labels];
    const cells = [link, ...texts].map((content, index) => {
      const cell = document.createElement("td");
      if (index === 0 || index === 4) cell.className = "text";
      cell.append(content);
      return cell;
    });
    line.append(...cells);
    return line;
  }

  ask();
}

function number(value, digits, signed = false) {
  if (value === null || value === undefined) return "–";
  const text = Math.abs(value).toFixed(digits);
  const zero = Number(text) === 0;
  if (zero) return text; // no sign, as in tables
  return (value < 0 ? "−" : signed ? "+" : "") + text;
}

function range(low, high, digits, signed = false) {
  return low === null || low === high ? "" : `[${number(low, digits, signed)}, ${number(high, digits, signed)}]`;
}
