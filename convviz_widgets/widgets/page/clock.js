// The clock of a state: one slider over the checkpoints, its buttons, and play.
import { act, hearKernel, make } from "./element.js";
import { pageOf } from "./store.js";

/** @typedef {import("./element.js").Model} Model */

/** What each button shows, in a square of 16, and what it is called. */
const BUTTONS = [
  ["first", "first checkpoint", "M1 3h2v10H1zM8.5 3v10L3 8zM15 3v10L9.5 8z"],
  ["previous", "previous checkpoint", "M4 3h2v10H4zM12 3v10L6 8z"],
  ["play", "play the checkpoints", "M4 2v12l9-6z"],
  ["next", "next checkpoint", "M10 3h2v10h-2zM4 3v10l6-5z"],
];

const PAUSE = "M4 2h3v12H4zM9 2h3v12H9z";

/** The element of a clock on the page. */
class Clock {
  /**
   * @param {Model} model
   * @param {HTMLElement} el
   */
  constructor(model, el) {
    this.model = model;
    this.id = `cvw-${++pageOf().orders}`;
    this.state = pageOf().state(model.get("state_id"));
    /** @type {number | null} */
    this.playing = null; // when the checkpoint that is seen was reached
    this.frame = 0;
    this.buttons = Object.fromEntries(BUTTONS.map(([name, title, path]) => [
      name, this.#button(name, title, path),
    ]));
    this.slider = /** @type {HTMLInputElement} */ (
      make("input", "cvw-slider", {
        type: "range", min: "0", step: "1", "aria-label": model.get("description"),
      })
    );
    this.label = make("div", "cvw-step");
    this.#assemble(el);
    this.#observe();
  }

  /**
   * @param {string} name
   * @param {string} title
   * @param {string} path
   */
  #button(name, title, path) {
    const button = /** @type {HTMLButtonElement} */ (
      make("button", "cvw-button", { type: "button", title, "aria-label": title }, [icon(path)])
    );
    button.addEventListener("click", () => this.#pressed(name));
    return button;
  }

  /** @param {HTMLElement} el */
  #assemble(el) {
    this.slider.addEventListener("input", () => {
      this.#stop();
      this.#goTo(Number(this.slider.value));
    });
    this.slider.addEventListener("keydown", (event) => this.#key(event));
    const row = make("div", "cvw-buttons", {}, Object.values(this.buttons));
    // A notebook would act on arrows and Enter first: it asks the element that has the focus itself.
    for (const control of [...Object.values(this.buttons), this.slider]) {
      control.setAttribute("data-lm-suppress-shortcuts", "true");
    }
    el.classList.add("cvw-clock");
    el.append(row, this.slider, this.label);
  }

  #observe() {
    const { model, state } = this;
    const refill = () => {
      state.keys = model.get("keys_of_checkpoints");
      state.publish(model.get("now"));
      state.settle();
    };
    model.on("change:keys_of_checkpoints change:labels", refill);
    model.on("change:now", () => state.publish(model.get("now")));
    state.hearAnswers(model, this.id);
    model.on("change:playing", () => {
      if (model.get("playing") !== (this.playing !== null)) this.#toggle();
    });
    this.follower = { counts: () => false, has: () => true, show: () => this.#show() };
    state.followers.add(this.follower);
    refill();
    if (model.get("playing")) {
      this.#toggle();
      this.#drive(); // the page that did may be this one before it was loaded again
    }
  }

  close() {
    this.#stop();
    if (this.follower) this.state.leave(this.follower);
  }

  /** Where the clock points, whether its pictures are there or not. @returns {number} */
  get place() {
    return this.state.key === null ? -1 : this.state.keys.indexOf(this.state.key);
  }

  #show() {
    const { keys, shown } = this.state;
    const [place, last] = [this.place, keys.length - 1];
    this.slider.max = String(Math.max(0, last));
    if (Number(this.slider.value) !== place) this.slider.value = String(Math.max(0, place));
    this.slider.disabled = last < 1;
    const seen = shown === null ? -1 : keys.indexOf(shown);
    if (seen >= 0) {
      const words = `${this.model.get("labels")[seen]} · ${seen + 1} of ${keys.length}`;
      this.label.textContent = words;
      this.slider.setAttribute("aria-valuetext", words);
    }
    this.label.classList.toggle("cvw-late", seen !== place);
    this.#enable("first", place > 0);
    this.#enable("previous", place > 0);
    this.#enable("next", place < last);
    this.#enable("play", last > 0);
  }

  /**
   * @param {string} name
   * @param {boolean} enabled
   */
  #enable(name, enabled) {
    const button = this.buttons[name];
    if (button.disabled !== enabled) return;
    if (!enabled && button.matches(":focus")) this.slider.focus(); // else the focus would be lost
    button.disabled = !enabled;
  }

  /** @param {number} place */
  #goTo(place) {
    const key = this.state.keys[place];
    if (key === undefined || place === this.place) return;
    const order = this.state.claim("key", key, this.id, true);
    act(this.model, pageOf().name, order, { key });
  }

  /**
   * Do what a slider does; JupyterLab takes the arrows from those that leave it to the browser.
   * @param {KeyboardEvent} event
   */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = this.state.keys.length - 1;
    const page = Math.max(1, Math.round(last / 10));
    /** @type {Record<string, number>} */
    const places = {
      ArrowLeft: this.place - 1, ArrowDown: this.place - 1, ArrowRight: this.place + 1,
      ArrowUp: this.place + 1, PageDown: this.place - page, PageUp: this.place + page,
      Home: 0, End: last,
    };
    if (!(event.key in places)) return;
    event.preventDefault();
    event.stopPropagation();
    this.#stop();
    this.#goTo(Math.min(last, Math.max(0, places[event.key])));
  }

  /** @param {string} name */
  #pressed(name) {
    if (name === "play") {
      this.#toggle();
      return;
    }
    this.#stop();
    this.#goTo(name === "first" ? 0 : this.place + (name === "next" ? 1 : -1));
  }

  #toggle() {
    if (this.playing !== null) {
      this.#stop();
      return;
    }
    const isAtEnd = this.place === this.state.keys.length - 1;
    if (isAtEnd && !this.model.get("player")) this.#goTo(0);
    this.playing = performance.now();
    this.#showPlaying();
    if (!this.model.get("player")) this.#drive();
    this.frame = requestAnimationFrame((now) => this.#tick(now));
  }

  /** Have this page move the clock while it plays: of several pages one does. */
  #drive() {
    this.model.set("player", pageOf().name);
    this.model.save_changes();
  }

  #stop() {
    if (this.playing === null) return;
    this.playing = null;
    cancelAnimationFrame(this.frame);
    this.#showPlaying();
  }

  #showPlaying() {
    const isPlaying = this.playing !== null;
    const [title, path] = isPlaying ? ["stop playing", PAUSE] : [BUTTONS[2][1], BUTTONS[2][2]];
    const button = this.buttons.play;
    button.setAttribute("aria-label", title);
    button.setAttribute("title", title);
    button.replaceChildren(icon(path));
    if (this.model.get("playing") !== isPlaying) {
      this.model.set("playing", isPlaying);
      this.model.save_changes();
    }
  }

  /**
   * Move on when it is time, and the pictures are there or the kernel has drawn them.
   * @param {number} now in milliseconds
   */
  #tick(now) {
    if (this.playing === null) return;
    this.frame = requestAnimationFrame((time) => this.#tick(time));
    const { state } = this;
    if (this.model.get("player") !== pageOf().name || this.place < 0) {
      this.playing = now; // another page moves it, or the checkpoint is gone
      return;
    }
    const interval = 1000 / this.model.get("rate");
    const next = this.place + 1;
    if (next >= state.keys.length) {
      this.#stop();
      return;
    }
    // The screen's frames come a little early or late: half a millisecond is no frame.
    const isTime = now - this.playing >= interval - 0.5;
    if (isTime && (state.isReady(state.keys[next]) || !state.claims.has("key"))) {
      const late = now - this.playing - interval;
      this.playing = late > interval ? now : this.playing + interval;
      this.#goTo(next);
    }
  }
}

/** @param {string} path */
function icon(path) {
  const space = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(space, "svg");
  drawing.setAttribute("viewBox", "0 0 16 16");
  drawing.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS(space, "path");
  shape.setAttribute("d", path);
  drawing.append(shape);
  return drawing;
}

/** @type {import("./element.js").Render} */
export function renderClock({ model, el }) {
  hearKernel(model);
  const clock = new Clock(model, el);
  return () => clock.close();
}
