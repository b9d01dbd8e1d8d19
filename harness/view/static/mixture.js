// The page of a mixture: pictures, playhead and keys around one player.

import { typing } from "./keys.js";
import { Player } from "./player.js";

const heard = [...document.querySelectorAll("[data-audio]")];
const tracks = document.getElementById("tracks");
const playhead = tracks.querySelector(".playhead");
const player = new Player(heard.map((element) => element.dataset.audio));
const main = heard.filter((element) => element.classList.contains("track")).length;
const button = (element) => (element.matches("button") ? element : element.querySelector("button"));
window.s5eval = { player }; // for whoever wants to measure

function show() {
  for (const [index, element] of heard.entries()) {
    const chosen = index === player.chosen;
    element.classList.toggle("chosen", chosen);
    button(element).setAttribute("aria-pressed", String(chosen));
    button(element).disabled = false;
  }
  const play = document.getElementById("play");
  play.textContent = player.playing ? "Pause" : "Play";
  play.setAttribute("aria-pressed", String(player.playing));
  const left = player.addresses.length - player.loaded;
  document.getElementById("loading").textContent = player.failure || (left ? `reading, ${left} left` : "");
  document.getElementById("equal").checked = player.equal;
  document.getElementById("loop").checked = player.loop;
  drawAxis();
  place();
}

function place() {
  const picture = tracks.querySelector(".picture");
  document.getElementById("time").textContent = `${player.position.toFixed(2)} of ${player.duration.toFixed(2)} s`;
  if (!picture || !player.duration) return;
  const around = tracks.getBoundingClientRect();
  const inside = picture.getBoundingClientRect();
  const x = inside.left - around.left + (inside.width * player.position) / player.duration;
  playhead.hidden = false;
  playhead.style.transform = `translateX(${x}px)`;
}

let drawn = 0;
function drawAxis() {
  const axis = tracks.querySelector(".axis");
  if (!player.duration || drawn === player.duration) return;
  drawn = player.duration;
  const most = Math.max(2, Math.floor(axis.clientWidth / 50));
  axis.replaceChildren();
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60].find((s) => drawn / s <= most) || 120;
  for (let second = 0; second <= drawn + 1e-6; second += step) {
    const tick = document.createElement("span");
    tick.textContent = `${Number(second.toFixed(1))} s`;
    tick.style.left = `${(100 * second) / drawn}%`;
    axis.append(tick);
  }
}

// The waveforms share one scale, that of the loudest, by the root of the level: what is quiet can still be seen.
async function drawWaves() {
  const found = [];
  for (const element of heard.filter((one) => one.dataset.wave)) {
    const answer = await fetch(element.dataset.wave);
    if (answer.ok) found.push([element, await answer.json()]);
  }
  const loudest = Math.max(1e-9, ...found.flatMap(([, wave]) => [...wave.high, ...wave.low.map((v) => -v)]));
  for (const [element, wave] of found) {
    const y = (value) => -100 * Math.sign(value) * Math.sqrt(Math.abs(value) / loudest);
    const up = wave.high.map((value, x) => `${x},${y(value).toFixed(1)}`);
    const down = wave.low.map((value, x) => `${x},${(y(value) + 0.6).toFixed(1)}`).reverse();
    element.querySelector(".wave path").setAttribute("d", `M${[...up, ...down].join("L")}Z`);
  }
}

const steps = {
  " ": () => player.toggle(),
  x: () => player.choose(player.before),
  e: () => player.setEqual(!player.equal),
  l: () => player.setLoop(!player.loop),
  0: () => player.seek(0),
  Home: () => player.seek(0),
  ArrowLeft: () => player.seek(player.position - 1),
  ArrowRight: () => player.seek(player.position + 1),
  ArrowUp: () => player.choose(Math.max(0, player.chosen - 1)),
  ArrowDown: () => player.choose(Math.min(player.addresses.length - 1, player.chosen + 1)),
};

document.addEventListener("keydown", (event) => {
  if (typing(event) || event.target.closest("input")) return;
  const digit = Number(event.key);
  if (digit >= 1 && digit <= 9) {
    player.choose(digit - 1);
  } else if (steps[event.key]) {
    steps[event.key]();
  } else {
    return;
  }
  event.preventDefault();
});

// Space is play and pause wherever the focus is, also on a button that it would press.
document.addEventListener("keyup", (event) => {
  if (event.key === " " && event.target.matches("button")) event.preventDefault();
});

for (const [index, element] of heard.entries()) {
  const key = element.querySelector(".key");
  if (key && index < Math.min(9, main)) key.textContent = String(index + 1);
  button(element).addEventListener("click", () => player.choose(index));
}
for (const picture of tracks.querySelectorAll(".picture")) {
  picture.addEventListener("click", (event) => {
    const { left, width } = picture.getBoundingClientRect();
    player.seek(((event.clientX - left) / width) * player.duration);
    player.choose(heard.indexOf(picture.closest(".track")));
  });
}
document.getElementById("play").addEventListener("click", () => player.toggle());
document.getElementById("equal").addEventListener("change", (event) => player.setEqual(event.target.checked));
document.getElementById("loop").addEventListener("change", (event) => player.setLoop(event.target.checked));
document.getElementById("volume").addEventListener("input", (event) => player.setVolume(Number(event.target.value)));
window.addEventListener("resize", place);

function frame() {
  if (player.playing) place();
  requestAnimationFrame(frame);
}

player.onchange(show);
show();
drawWaves();
player.load();
frame();
