// Several videos of one scene in step: one is the clock, the others follow it by their rate.
// Free-running videos drift apart by some frames in a few seconds.

const STILL = 0.003, LOST = 0.3; // s: apart by less is in step; by more, seek
const PULL = 4, MOST_PULL = 0.4; // part of the distance made good in a second; most change of the rate

class Player {
  constructor(changed) {
    this.changed = changed;
    this.videos = []; // those in view, the clock first
    this.times = [0]; // s, of each frame
    this.frame = 0;
    this.rate = 1;
    this.playing = false;
    this.played = false; // since the last seek
    this.wanted = null;
    this.seeking = null;
    this.turn = 0;
  }

  get last() { return this.times.length - 1; }

  start(frame) { return frame <= this.last ? this.times[frame] : 2 * this.times[this.last] - (this.times[this.last - 1] || 0); }

  middle(frame) { return (this.start(frame) + this.start(frame + 1)) / 2; }

  at(seconds) {
    let low = 0, high = this.last;
    while (low < high) {
      const half = (low + high + 1) >> 1;
      if (this.times[half] <= seconds + 1e-4) low = half; else high = half - 1;
    }
    return low;
  }

  // Every video shows exactly this frame when the promise is kept; of several calls in a row the last counts.
  seek(frame) {
    this.frame = this.wanted = Math.max(0, Math.min(this.last, frame));
    this.changed();
    this.seeking ||= (async () => {
      while (this.wanted !== null) {
        const seconds = this.middle(this.wanted), last = this.wanted === this.last, { played } = this;
        this.wanted = null;
        this.played = false;
        await Promise.all(this.videos.map((video) => moved(video, seconds, last, played)));
      }
      this.seeking = null;
    })();
    return this.seeking;
  }

  async play() {
    if (!this.videos.length) return;
    this.playing = true;
    this.changed();
    await this.run(this.frame >= this.last ? 0 : this.frame);
  }

  async run(frame) {
    const turn = ++this.turn;
    for (const video of this.videos) video.pause();
    await this.seek(frame);
    if (!this.playing || turn !== this.turn) return;
    for (const video of this.videos) video.playbackRate = this.rate;
    this.played = true;
    await Promise.all(this.videos.map((video) => video.play().catch(() => {}))); // a pause meanwhile is no fault
    this.follow(turn);
  }

  async pause() {
    this.playing = false;
    this.turn++;
    for (const video of this.videos) video.pause();
    await this.seek(this.videos.length ? this.at(this.videos[0].currentTime) : this.frame);
  }

  follow(turn) {
    if (!this.playing || turn !== this.turn) return;
    const [clock, ...others] = this.videos;
    for (const video of others) {
      const apart = video.currentTime - clock.currentTime;
      if (Math.abs(apart) > LOST && !video.seeking) video.currentTime = clock.currentTime;
      const pull = Math.abs(apart) < STILL ? 0 : Math.max(-MOST_PULL, Math.min(MOST_PULL, PULL * apart));
      const rate = this.rate * (1 - pull);
      if (Math.abs(video.playbackRate - rate) > 0.01 * this.rate) video.playbackRate = rate;
      if (video.paused && !video.ended) video.play().catch(() => {});
    }
    const frame = this.at(clock.currentTime);
    if (frame !== this.frame) {
      this.frame = frame;
      this.changed();
    }
    if (clock.ended) this.run(0);
    else requestAnimationFrame(() => this.follow(turn));
  }
}

// Kept when a video shows the frame at this time. One that played is sought in any case: what it shows may be some
// frames behind its clock. Events do not tell all: another file may be put in meanwhile, which begins at 0, and at its
// end a video may get ready without one, with the end as its time.
async function moved(video, seconds, last, played) {
  const off = () => !(last && video.ended) && Math.abs(video.currentTime - seconds) > 1e-3;
  const there = () => !video.seeking && video.readyState >= 2 && !off();
  if (there() && !played) return;
  video.currentTime = seconds;
  while (!there() && !video.error) {
    const heard = new AbortController();
    await new Promise((resolve) => {
      for (const name of ["seeked", "canplay", "error"]) video.addEventListener(name, resolve, { signal: heard.signal });
      setTimeout(resolve, 100);
    });
    heard.abort();
    if (!video.seeking && off()) video.currentTime = seconds;
  }
}
