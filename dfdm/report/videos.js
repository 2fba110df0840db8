"use strict";
// The videos of the page, by key: from its own text, or from a script in the folder beside it.

const KEPT = 30; // addresses of videos that stay ready

class Videos {
  constructor(folder) {
    this.folder = folder;
    this.ready = new Map(); // key -> promise of an address; the latest asked for is the last
    this.waiting = new Map();
  }

  address(key) {
    const known = this.ready.get(key);
    this.ready.delete(key);
    this.ready.set(key, known || this.load(key));
    for (const [old, made] of this.ready) {
      if (this.ready.size <= KEPT) break;
      this.ready.delete(old);
      made.then(URL.revokeObjectURL, () => {});
    }
    return this.ready.get(key);
  }

  async load(key) {
    const text = this.folder ? await this.script(key) : document.querySelector(`[data-video="${key}"]`).textContent;
    const blob = await (await fetch(`data:video/mp4;base64,${text.trim()}`)).blob();
    return URL.createObjectURL(blob);
  }

  script(key) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      this.waiting.set(key, resolve);
      script.src = `${encodeURIComponent(this.folder)}/${key}.js`;
      script.onload = () => script.remove();
      script.onerror = () => {
        this.ready.delete(key); // another try may find it
        reject(new Error(`${this.folder}/${key}.js is not beside this page`));
      };
      document.head.append(script);
    });
  }
}

function dfdmVideo(key, text) { // called by the scripts of the folder
  page.store.waiting.get(key)(text);
}
