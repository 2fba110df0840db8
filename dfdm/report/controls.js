// The buttons, the keyboard, the address, and printing.

function next(list, now, step) { return list[(list.indexOf(now) + step + list.length) % list.length]; }

const ACTIONS = {
  play: () => (page.player.playing ? page.player.pause().then(() => page.write()) : page.player.play()),
  step: async (by) => {
    if (page.player.playing) await page.player.pause();
    await page.player.seek(page.player.frame + by);
    page.write();
  },
  speed: (value) => {
    page.player.rate = +value;
    $("speed").value = value;
    for (const video of page.player.videos) video.playbackRate = +value;
  },
  zoom: () => page.scene.at && page.set({ zoom: 1 - page.state.zoom }),
  mask: () => page.masks && page.set({ mask: 1 - page.state.mask }),
  guess: () => {
    page.guessed.clear();
    return page.set({ guess: 1 - page.state.guess });
  },
  view: () => page.set({ view: next(VIEWS, page.state.view, 1) }),
  quality: () => page.set({ crf: next(data.qualities.map((one) => one.crf), page.state.crf, 1) }),
  clip: (by) => page.set({ clip: next(data.clips.map((one) => one.clip), page.state.clip, by) }),
  save: async () => save(...(await page.picture())),
};
const SPEEDS = [...$("speed")?.options ?? []].map((option) => option.value); // the fastest first
const KEYS = {
  " ": ACTIONS.play, k: ACTIONS.play, ArrowLeft: () => ACTIONS.step(-1), ArrowRight: () => ACTIONS.step(1),
  Home: () => ACTIONS.step(-Infinity), End: () => ACTIONS.step(Infinity),
  ",": () => ACTIONS.speed(SPEEDS[Math.min(SPEEDS.length - 1, SPEEDS.indexOf($("speed").value) + 1)]),
  ".": () => ACTIONS.speed(SPEEDS[Math.max(0, SPEEDS.indexOf($("speed").value) - 1)]),
  q: ACTIONS.quality, n: () => ACTIONS.clip(1), p: () => ACTIONS.clip(-1),
  w: ACTIONS.view, z: ACTIONS.zoom, m: ACTIONS.mask, g: ACTIONS.guess, s: ACTIONS.save,
};

function wire() {
  for (const id of ["play", "zoom", "mask", "guess", "save"]) $(id).onclick = () => ACTIONS[id]();
  $("back").onclick = () => ACTIONS.step(-1);
  $("on").onclick = () => ACTIONS.step(1);
  $("speed").onchange = () => ACTIONS.speed($("speed").value);
  $("frame").oninput = () => ACTIONS.step(+$("frame").value - page.player.frame);
  $("direction").onchange = () => {
    const ways = data.clips.filter((one) => `${one.video}_${one.face}` === $("direction").value);
    page.set({ clip: (ways.find((one) => one.part === "test") || ways[0]).clip });
  };
  $("scene").onchange = () => page.set({ clip: $("scene").value });
  $("first").onchange = () => page.set({ first: $("first").value });
  $("second").onchange = () => page.set({ second: $("second").value });
  for (const radio of document.querySelectorAll('[name="crf"]')) radio.onchange = () => page.set({ crf: +radio.value });
  for (const radio of document.querySelectorAll('[name="view"]')) radio.onchange = () => page.set({ view: radio.value });
  const stage = $("stage"), wipe = (share) => {
    $("share").value = share;
    stage.style.setProperty("--wipe", `${$("share").value}%`);
  };
  $("share").oninput = () => wipe($("share").value);
  stage.onpointermove = stage.onpointerdown = (event) => {
    if (!page.wiping || !(event.buttons & 1)) return;
    if (event.type === "pointerdown") stage.setPointerCapture(event.pointerId);
    const box = stage.getBoundingClientRect();
    wipe((100 * (event.clientX - box.left)) / box.width);
  };
  document.addEventListener("keydown", (event) => {
    const own = event.target.closest?.("select, button, summary, input, a");
    const taken = own && (event.key === " " || (own.matches("select, input") && event.key.startsWith("Arrow")) || own.matches("select"));
    if (taken || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  addEventListener("resize", () => page.show());
  addEventListener("hashchange", () => {
    if (page.read()) begin();
  });
}

async function begin() {
  page.show();
  await page.load(page.state.frame ?? page.scene.start);
  page.write();
}

if (data.clips.length) {
  $("player").hidden = false;
  page.read();
  wire();
  page.begun = begin();
}
// A link into a part that is folded opens it; the address keeps what the player shows.
function unfold(target) {
  for (let part = target; part; part = part.parentElement?.closest("details")) if (part.matches("details")) part.open = true;
  target?.scrollIntoView();
}
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#"]');
  if (!link) return;
  event.preventDefault();
  unfold($(link.hash.slice(1)));
});
if (location.hash && !location.hash.includes("=")) unfold($(location.hash.slice(1)));

// Folded parts are printed too.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open], .keys)")];
  for (const part of folded) part.open = true;
});
addEventListener("afterprint", () => {
  for (const part of folded) part.open = false;
});
