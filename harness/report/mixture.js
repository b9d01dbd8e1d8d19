// One sound at a time: another one goes on where the last one was, and a picture is a place to start from.
"use strict";
(() => {
  const sounds = Array.from(document.querySelectorAll("audio"));
  let last = null;
  for (const sound of sounds) {
    sound.addEventListener("play", () => {
      if (last && last !== sound) {
        last.pause();
        if (Math.abs(sound.currentTime - last.currentTime) > 0.05) sound.currentTime = last.currentTime;
      }
      last = sound;
    });
    const picture = sound.parentElement.querySelector("img");
    picture.addEventListener("click", (event) => {
      const box = picture.getBoundingClientRect();
      const at = ((event.clientX - box.left) / box.width) * (sound.duration || 0);
      if (last && last !== sound) last.pause();
      last = null;
      sound.currentTime = at;
      sound.play();
    });
  }
})();
