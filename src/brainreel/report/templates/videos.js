
// Each row of videos has one clock: all of its frames are drawn in the same step, from sheets that are decoded already.
const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
for (const gallery of document.querySelectorAll("[data-reels]")) {
  const toggle = gallery.querySelector(".reels-toggle");
  const reels = [...gallery.querySelectorAll("[data-reel]")].map((node) => {
    const duration = Number(node.dataset.duration);
    const frame = 1 / Number(node.dataset.fps);
    const button = node.querySelector(".reel-play");
    const scrub = node.querySelector(".reel-scrub");
    const clock = node.querySelector(".reel-time");
    const reel = { node, held: calm, playing: false, visible: false, time: 0 };

    const films = [...node.querySelectorAll(".reel-frame img")].map((sheet) => {
      const [count, columns, width, height, fps] = ["frames", "columns", "width", "height", "fps"].map((name) =>
        Number(sheet.dataset[name]));
      const canvas = document.createElement("canvas");
      canvas.width = width;
      canvas.height = height;
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", sheet.alt);
      const film = { shown: -1, ready: false };
      film.draw = (time) => {
        const at = Math.min(count - 1, Math.floor(time * fps + 1e-6));
        if (!film.ready || at === film.shown) return;
        film.shown = at;
        canvas.dataset.frame = at;
        const [x, y] = [(at % columns) * width, Math.floor(at / columns) * height];
        canvas.getContext("2d").drawImage(sheet, x, y, width, height, 0, 0, width, height);
      };
      // A sheet that cannot be decoded stays as it is, with its text.
      sheet.decode().then(() => {
        film.ready = true;
        film.draw(reel.time);
        sheet.replaceWith(canvas);
      }, () => {});
      return film;
    });

    reel.show = (time) => {
      reel.time = time;
      films.forEach((film) => film.draw(time));
      scrub.value = time;
      const said = `${time.toFixed(2)} s of ${duration.toFixed(2)} s`;
      clock.textContent = said;
      scrub.setAttribute("aria-valuetext", said);
    };
    reel.play = (playing) => {
      reel.playing = playing;
      button.textContent = playing ? "Pause" : "Play";
      node.toggleAttribute("data-playing", playing);
      label();
    };
    reel.hold = (held) => {
      reel.held = held;
      reel.play(!held);
    };
    reel.pass = (seconds) => {
      if (reel.playing) reel.show((reel.time + seconds) % duration);
    };

    scrub.max = Math.max(0, duration - frame);
    scrub.addEventListener("input", () => {
      reel.hold(true);
      reel.show(Number(scrub.value));
    });
    scrub.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      reel.hold(true);
      const at = (Math.round(reel.time / frame) + step) * frame;
      reel.show(Math.min(Number(scrub.max), Math.max(0, at)));
    });
    button.addEventListener("click", () => reel.hold(reel.playing));
    node.querySelector(".reel-cells").addEventListener("click", (event) => {
      if (event.target.closest(".reel-frame")) reel.hold(reel.playing);
    });
    node.querySelector(".reel-bar").hidden = false;
    return reel;
  });

  const label = () => {
    if (!toggle) return;
    toggle.textContent = reels.some((reel) => reel.playing) ? "Pause all" : "Play all";
  };
  toggle?.addEventListener("click", () => {
    const playing = reels.some((reel) => reel.playing);
    reels.forEach((reel) => {
      reel.held = playing;
      reel.play(!playing && reel.visible);
    });
  });
  if (toggle) toggle.parentElement.hidden = false;
  reels.forEach((reel) => {
    reel.show(0);
    reel.play(false);
  });

  // What nobody looks at rests; what somebody stopped stays stopped; nothing starts by itself for who asked for calm.
  const watch = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) {
      const reel = reels.find((one) => one.node === target);
      reel.visible = isIntersecting;
      reel.play(isIntersecting && !reel.held);
    }
  }, { threshold: 0.3 });
  reels.forEach((reel) => watch.observe(reel.node));

  let before = null;
  const tick = (now) => {
    reels.forEach((reel) => reel.pass(before === null ? 0 : (now - before) / 1000));
    before = now;
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}
