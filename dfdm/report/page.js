// What is chosen on the page, how it is shown, and the address that keeps it.

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const REAL = data.models[0];
const VIEWS = ["all", "wipe", "difference"];
const PLAIN = { view: "all", zoom: 0, mask: 0, guess: 0, first: REAL, second: data.models[1], frame: null };

const page = {
  store: new Videos(data.folder),
  player: new Player(() => page.place()),
  tiles: [...document.querySelectorAll(".tile")],
  state: { ...PLAIN, clip: null, crf: null },
  guessed: new Map(), // `clip crf model` -> what the reader said
  loading: 0,

  get clip() { return data.clips.find((one) => one.clip === this.state.clip); },
  get scene() { return data.scenes[`${this.clip.video}_${this.clip.scene}`]; },
  get keys() { return this.clip.videos[this.state.crf]; },
  get masks() { return Object.keys(this.clip.masks).length > 0; },
  get masked() { return this.state.mask && this.masks; },
  get two() { return this.state.view !== "all"; },
  get wiping() { return this.state.view === "wipe"; },

  // The address: what is not as it is at first.
  read() {
    const given = new URLSearchParams(location.hash.slice(1));
    if (!given.has("clip") && this.state.clip) return false; // a link to a part of the page
    const known = (key, list, other) => (list.map(String).includes(given.get(key)) ? given.get(key) : other);
    const clip = known("clip", data.clips.map((one) => one.clip), (data.clips.find((one) => one.part === "test") || data.clips[0]).clip);
    const lossy = data.qualities.map((one) => one.crf).filter((crf) => crf > 0);
    this.state = {
      clip,
      crf: +known("crf", data.qualities.map((one) => one.crf), lossy[0] ?? data.qualities[0].crf),
      view: known("view", VIEWS, "all"),
      first: known("first", data.models, PLAIN.first),
      second: known("second", data.models, PLAIN.second),
      zoom: +known("zoom", [0, 1], 0),
      mask: +known("mask", [0, 1], 0),
      guess: +known("guess", [0, 1], 0),
      frame: given.has("frame") ? Math.trunc(+given.get("frame")) || 0 : null,
    };
    if (this.state.first === this.state.second) Object.assign(this.state, { first: PLAIN.first, second: PLAIN.second });
    return true;
  },

  write() {
    const kept = new URLSearchParams({ clip: this.state.clip, crf: this.state.crf });
    for (const [key, plain] of Object.entries(PLAIN)) {
      if (key !== "frame" && this.state[key] !== plain) kept.set(key, this.state[key]);
    }
    if (!this.player.playing) kept.set("frame", this.player.frame);
    history.replaceState(null, "", `#${kept}`);
  },

  async set(change) {
    const before = this.keys, { clip, first, second } = this.state;
    Object.assign(this.state, change);
    if (this.state.first === this.state.second) Object.assign(this.state, { first: second, second: first }); // changed sides
    if (change.view === "wipe") $("share").value = 100 * this.middle;
    this.show();
    if (this.keys !== before || this.state.clip !== clip || change.mask) await this.load(this.state.clip === clip ? this.player.frame : this.scene.start);
    else await this.take();
    this.write();
  },

  // Gives the videos in view to the player, all at its frame.
  async take(frame = this.player.frame) {
    const { player, state } = this, went = player.playing;
    if (went) await player.pause();
    const filled = this.inView().filter((tile) => this.keys[tile.dataset.model]);
    player.videos = filled.map((tile) => tile.querySelector("video"));
    if (this.masked && state.view !== "difference") player.videos.push(...filled.filter((tile) => this.clip.masks[tile.dataset.model]).map((tile) => tile.querySelector(".mask")));
    await player.seek(frame);
    if (went) await player.play();
  },

  async load(frame) {
    const turn = ++this.loading, { player } = this, went = player.playing;
    if (went) await player.pause();
    player.videos = [];
    player.times = this.scene.times;
    $("stage").setAttribute("aria-busy", "true");
    try {
      await Promise.all(this.tiles.map((tile) => this.fill(tile, turn)));
    } catch (error) {
      if (turn === this.loading) $("note").textContent = `${error.message}. Copy the folder ${data.folder} beside this page, or make the page again.`;
      return;
    }
    if (turn !== this.loading) return;
    $("stage").removeAttribute("aria-busy");
    await this.take(frame);
    if (went) await player.play();
  },

  async fill(tile, turn) {
    const video = tile.querySelector("video"), key = this.keys[tile.dataset.model];
    const mask = tile.querySelector(".mask"), shape = this.masked && this.clip.masks[tile.dataset.model];
    tile.querySelector(".gone")?.remove();
    if (mask) await (shape ? this.give(mask, shape, turn) : empty(mask));
    if (!key) {
      empty(video);
      tile.querySelector(".picture").insertAdjacentHTML("beforeend", '<span class="gone">missing</span>');
      return;
    }
    await this.give(video, key, turn);
  },

  async give(video, key, turn) {
    const address = await this.store.address(key);
    if (turn !== this.loading || video.src === address) return;
    await new Promise((resolve, reject) => {
      video.onloadeddata = resolve;
      video.onerror = () => reject(new Error(`This browser does not play ${key}`));
      video.src = address;
      video.muted = true;
    });
  },

  // Where the face's middle is, from the left in parts of the picture in view.
  get middle() {
    const { scene } = this;
    return scene.at && !this.state.zoom ? (scene.at[this.player.frame] || scene.at[0])[0] + 0.5 / scene.zoom : 0.5;
  },

  inView() {
    if (!this.two) return this.tiles;
    return [this.state.first, this.state.second].map((model) => this.tiles.find((tile) => tile.dataset.model === model));
  },

  // Everything but the frame.
  show() {
    const { state, clip, scene } = this, square = state.zoom && scene.at;
    const ways = [...new Map(data.clips.map((one) => [`${one.video}_${one.face}`, one])).entries()];
    fill($("direction"), ways.map(([way, one]) => [way, `${one.face}’s face on ${one.video}`]), `${clip.video}_${clip.face}`);
    const scenes = data.clips.filter((one) => one.video === clip.video && one.face === clip.face);
    fill($("scene"), scenes.map((one) => [one.clip, one.part ? `${one.scene} (${one.part})` : one.scene]), clip.clip);
    document.querySelector(`[name="crf"][value="${state.crf}"]`).checked = true;
    document.querySelector(`[name="view"][value="${state.view}"]`).checked = true;
    $("zoom").setAttribute("aria-pressed", !!square);
    $("zoom").disabled = !scene.at;
    $("mask").setAttribute("aria-pressed", !!this.masked);
    $("mask").disabled = !this.masks;
    $("guess").setAttribute("aria-pressed", !!state.guess);
    $("wipe").hidden = !this.two;
    $("share").hidden = !this.wiping;
    document.querySelectorAll(".side").forEach((side, place) => { side.textContent = this.wiping ? ["Left", "Right"][place] : ["Between", "and"][place]; });
    const named = data.models.map((model) => [model, this.label(model)]);
    fill($("first"), named, state.first);
    fill($("second"), named, state.second);

    const stage = $("stage"), aspect = square ? 1 : scene.width / scene.height;
    const columns = this.two ? 1 : this.columns(aspect);
    const rows = this.two ? 1 : Math.ceil(this.tiles.length / columns);
    stage.className = `stage${square ? " zoomed" : ""}${this.masked ? " masked" : ""}${this.two ? ` two ${state.view}` : ""}`;
    for (const [name, value] of [["columns", columns], ["fit", (columns * aspect) / rows], ["aspect", aspect], ["zoom", scene.zoom || 1], ["brighter", BRIGHTER]]) stage.style.setProperty(`--${name}`, value);
    stage.style.setProperty("--wipe", `${$("share").value}%`);
    const order = this.order();
    for (const tile of this.tiles) {
      const model = tile.dataset.model;
      tile.classList.toggle("first", this.two && model === state.first);
      tile.classList.toggle("second", this.two && model === state.second);
      tile.style.order = order.indexOf(model);
      const [word, more] = this.mark(model);
      tile.querySelector(".mark b").textContent = word;
      tile.querySelector(".mark i").textContent = more && ` · ${more}`;
      tile.querySelector(".name").textContent = this.label(model);
      tell(tile, model);
    }
    tally();
  },

  mark(model) {
    if (this.state.view === "difference") return ["SYNTHETIC", `difference of ${this.label(this.state.first)} and ${this.label(this.state.second)}, ${BRIGHTER} times`];
    return model === REAL ? ["ORIGINAL", ""] : ["SYNTHETIC", this.label(model)];
  },

  columns(aspect) {
    const count = this.tiles.length, wide = innerWidth >= 700;
    if (aspect > 1.2) return Math.min(count, wide ? 3 : count === 1 ? 1 : 2);
    return Math.min(count, wide ? (innerWidth >= 1000 ? 6 : 3) : count === 4 || count < 3 ? 2 : innerWidth >= 360 && count % 3 === 0 ? 3 : 2);
  },

  // The frame: slider, words, and the zoom's window, which follows the face.
  place() {
    const { player, scene } = this, frame = player.frame;
    $("frame").max = player.last;
    $("frame").value = frame;
    $("frame").setAttribute("aria-valuetext", `frame ${frame} of ${player.last}`);
    $("where").textContent = `frame ${frame} of ${player.last}, ${player.times[frame].toFixed(2)} s`;
    $("play").textContent = player.playing ? "Pause" : "Play";
    if (scene.at) {
      const [left, top] = scene.at[frame] || scene.at.at(-1);
      $("stage").style.setProperty("--left", `${-100 * left}%`);
      $("stage").style.setProperty("--top", `${-100 * top}%`);
    }
  },

  // Guess first: the order of the swaps says nothing, names and answers wait for the reader's.
  id(model) { return `${this.state.clip} ${this.state.crf} ${model}`; },
  hidden(model) { return this.state.guess && model !== REAL && !this.guessed.has(this.id(model)); },
  order() {
    if (!this.state.guess) return data.models;
    return [REAL, ...data.models.slice(1).sort((a, b) => mixed(this.id(a)) - mixed(this.id(b)))];
  },
  label(model) {
    if (model === REAL) return "original";
    return this.hidden(model) ? `swap ${String.fromCharCode(64 + this.order().indexOf(model))}` : model;
  },

  async picture() {
    const { state, player, scene } = this;
    if (player.playing) await player.pause();
    await player.seek(player.frame);
    const tiles = this.two ? this.inView() : [...this.tiles].sort((a, b) => a.style.order - b.style.order);
    const shots = tiles.filter((tile) => this.keys[tile.dataset.model]).map((tile) => ({
      video: tile.querySelector("video"),
      mask: this.player.videos.find((video) => video === tile.querySelector(".mask")),
      label: this.mark(tile.dataset.model).filter(Boolean).join(" · "),
      synthetic: tile.dataset.model !== REAL || state.view === "difference",
    }));
    const [left, top] = (scene.at && scene.at[player.frame]) || [0, 0];
    const window = state.zoom && scene.at ? { zoom: scene.zoom, left, top } : null;
    const about = `${state.clip}, crf ${state.crf}, frame ${player.frame}${this.masked ? ", changed pixels in yellow" : ""}. Made for research on deepfake detection (dfdm-pipeline).`;
    const columns = this.two ? 1 : Math.min(shots.length, 3), share = this.wiping ? $("share").value / 100 : null;
    return [sheet(shots, { scene, window, columns, view: state.view, share }, about), `${state.clip}_crf${state.crf}_frame${player.frame}_SYNTHETIC.png`];
  },
};

function empty(video) {
  video.removeAttribute("src");
  video.load();
}

function fill(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value, false, value === chosen)));
}

// The same for the same text, else as good as chance (FNV-1a).
function mixed(text) {
  let hash = 2166136261;
  for (const letter of text) hash = Math.imul(hash ^ letter.codePointAt(0), 16777619);
  return Math.imul(hash ^ (hash >>> 15), 2246822519) >>> 0;
}

const percent = (share) => `${Math.round(100 * share)} %`;

// What the classifier says of a version, below it.
function tell(tile, model) {
  const said = tile.querySelector(".said"), answers = data.answers[page.state.crf];
  tile.querySelector(".shares")?.remove();
  tile.querySelector(".guesses")?.remove();
  said.className = "said";
  said.textContent = "";
  if (page.hidden(model)) return offer(tile, model);
  const name = model === REAL ? `${page.clip.video}_${page.clip.scene}_${REAL}` : `${page.clip.clip}_${model}`;
  const shares = answers?.shares[name];
  if (!shares) {
    const part = page.clip.part;
    said.textContent = model === REAL ? "no generator made it" : !answers ? "no scores yet" : part && part !== "test" ? `no answer: the classifier saw this scene (${part})` : "no answer";
    return;
  }
  const best = shares.indexOf(Math.max(...shares)), right = answers.classes[best] === model;
  said.classList.add(right ? "right" : "wrong");
  said.textContent = `${right ? "✓" : "✗"} named ${answers.classes[best] === REAL ? "original" : answers.classes[best]}, ${percent(shares[best])}`;
  const bar = document.createElement("span");
  bar.className = "shares";
  bar.setAttribute("role", "img");
  bar.setAttribute("aria-label", answers.classes.map((one, place) => `${one} ${percent(shares[place])}`).join(", "));
  bar.title = bar.getAttribute("aria-label");
  answers.classes.forEach((one, place) => {
    const part = document.createElement("i");
    part.style.width = `${100 * shares[place]}%`;
    part.className = one === model ? "right" : place === best ? "wrong" : "";
    bar.append(part);
  });
  said.after(bar);
}

function offer(tile, model) {
  const box = document.createElement("span");
  box.className = "guesses";
  for (const name of data.models.slice(1)) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: name });
    button.onclick = () => {
      page.guessed.set(page.id(model), name);
      page.show();
    };
    box.append(button);
  }
  tile.querySelector("figcaption").append(box);
}

// The line below the player: what is shown, or how the guesses go.
function tally() {
  const { clip, state, scene } = page, note = $("note");
  if (state.guess) {
    const made = data.models.slice(1).filter((model) => page.guessed.has(page.id(model)));
    const right = made.filter((model) => page.guessed.get(page.id(model)) === model).length;
    const answers = data.answers[state.crf], rows = made.map((model) => [model, answers?.shares[`${clip.clip}_${model}`]]).filter(([, shares]) => shares);
    const named = rows.filter(([model, shares]) => answers.classes[shares.indexOf(Math.max(...shares))] === model).length;
    note.textContent = made.length
      ? `You named ${right} of ${made.length} right; guessing names one in ${data.models.length - 1}.${rows.length ? ` The classifier named ${named} of ${rows.length}.` : ""}`
      : "Which generator made which swap? Choose a name under each.";
    return;
  }
  const quality = data.qualities.find((one) => one.crf === state.crf), part = clip.part && `; in the ${clip.part} part`;
  note.textContent = `${clip.clip}: frames of ${clip.video}’s video ${clip.scene}, the face of ${clip.face}. ${scene.times.length} frames of ${scene.width} x ${scene.height}${part || ""}.${quality.note ? ` Shown ${quality.note}.` : ""}${page.masked ? " Yellow: the pixels of the master that the swap changed." : ""}`;
}
