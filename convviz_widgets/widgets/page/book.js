// The frames of one view: what it shows at each checkpoint, for all that is otherwise selected.
import { pageOf } from "./store.js";
import { chosenOn, modelsOf } from "./element.js";

/**
 * @typedef {{ key: number | null, of: number, options?: Record<string, unknown>, picture?: DataView, bitmap?: ImageBitmap,
 *             width?: number, height?: number, grid?: import("./raster.js").Grid | null,
 *             names?: string[], channels?: (number | null)[] | null, values?: DataView, asks?: boolean, shape?: number[], signed?: boolean,
 *             caption?: string | [string, string], alt?: string, colormap?: string,
 *             recolours?: string[], automatic?: string, limits?: string[] | null,
 *             writes?: [string, Record<string, any>][] }} Frame
 *   `key` is the checkpoint's number, null for a frame of any; `of` says what it belongs to.
 * @typedef {import("./element.js").Model} Model
 */

/** Frames by checkpoint; the one that is to be seen is given to `paint`. */
export class Book {
  /**
   * @param {Model} model
   * @param {(frame: Frame) => void} paint shows a frame, all at once
   * @param {(frame: Frame) => boolean} prepare whether it can be shown at once; begins to make it so
   * @param {(frame: Frame) => void} release lets go of what was prepared for a frame
   */
  constructor(model, paint, prepare, release) {
    this.model = model;
    this.paint = paint;
    this.prepare = prepare;
    this.release = release;
    this.state = pageOf().state(model.get("state_id"));
    this.of = -1;
    this.awaited = 0; // the first publication whose frames can be here
    /** @type {Record<string, unknown>} */
    this.options = {}; // of the view, that the frames were made with
    /** @type {[Model, string, unknown[] | null][]} */
    this.links = [];
    this.again = () => this.state.settle();
    /** @type {Map<number | null, Frame>} */
    this.frames = new Map();
    /** @type {Frame | null} */
    this.shown = null;
    /** @type {Set<number>} */
    this.leaving = new Set(); // what is to go once it is not seen any more
    this.take(model.get("frame"));
    model.on("change:frame", () => {
      this.take(model.get("frame"));
      this.state.settle(); // what is selected may be as before
    });
    model.on("msg:custom", (/** @type {any} */ message, /** @type {DataView[]} */ buffers) => {
      this.#hear(message, buffers);
    });
    model.on("change:now", () => this.state.publish(model.get("now")));
    model.on("change:awake", this.again);
    this.state.followers.add(this);
    this.state.publish(model.get("now"));
    const { key, of } = model.get("frame");
    model.send({ ready: true, key, of }); // no frames but this one are here
    this.state.settle();
    this.#link();
  }

  async #link() {
    const links = /** @type {[string, string, unknown[] | null][]} */ (this.model.get("links"));
    const controls = await modelsOf(this.model, links.map(([id]) => id));
    if (!this.state.followers.has(this)) return; // closed meanwhile
    this.links = links.flatMap(([, name, values], at) => {
      const control = controls[at];
      control?.on("change:index change:value", this.again);
      return control ? [[control, name, values]] : [];
    });
  }

  close() {
    this.state.leave(this);
    this.#clear();
    for (const [control] of this.links) control.off("change:index change:value", this.again);
  }

  /** Whether the clock waits for it. */
  counts() {
    return Boolean(this.model.get("awake") && this.model.get("ahead")) && !this.frames.has(null);
  }

  /**
   * Whether a checkpoint can be shown at once.
   * @param {number} key
   */
  has(key) {
    const frame = this.frames.get(key);
    return frame !== undefined && this.isValid(frame) && this.prepare(frame);
  }

  /**
   * Whether there is nothing to show of a checkpoint: nothing that is being read, or to be drawn
   * once the kernel hears of what the user has chosen.
   * @param {number} key
   */
  lacks(key) {
    const frame = this.frames.get(key);
    const isLacking = frame === undefined || !this.isValid(frame);
    return isLacking && this.state.drawn >= this.awaited && !this.state.isClaimed(this.model.get("depends"));
  }

  /**
   * Whether a frame shows what is selected, as the page knows it: a control may have moved on.
   * @param {Frame} frame
   */
  isValid(frame) {
    return !this.state.isClaimed(this.model.get("depends")) && this.links.every(
      ([control, name, values]) => {
        const chosen = chosenOn(control, values);
        if (chosen === undefined || chosen === this.options[name]) return true;
        return name === "colormap" && Boolean(frame.recolours?.includes(String(chosen)));
      },
    );
  }

  /** The colour map that is chosen on the page, null for what the frame says. */
  get colormap() {
    const link = this.links.find(([, name]) => name === "colormap");
    const chosen = link && chosenOn(link[0], link[2]);
    return chosen === undefined || chosen === this.options.colormap ? null : String(chosen);
  }

  /** @param {number | null} key */
  show(key) {
    const frame = this.frames.get(null) ?? this.frames.get(key);
    if (frame && this.isValid(frame) && this.prepare(frame)) {
      this.shown = frame;
      this.paint(frame);
      if (this.leaving.size) this.#drop([]);
    }
  }

  /** @param {Frame | null | undefined} frame */
  take(frame) {
    if (!frame || frame.of === undefined) return;
    this.renew(frame.of, frame.options);
    if (frame.of !== this.of) return;
    this.#forget(frame.key);
    if (frame.key !== null) this.leaving.delete(frame.key);
    this.frames.set(frame.key, frame);
  }

  /**
   * Let go of what belongs to something else than is selected now.
   * @param {number} of
   * @param {Record<string, unknown> | undefined} options
   */
  renew(of, options) {
    if (of <= this.of) return;
    this.of = of;
    this.awaited = (this.state.now?.serial ?? -1) + 1;
    this.options = options ?? {};
    this.#clear();
  }

  /** @param {number | null} key */
  #forget(key) {
    const frame = this.frames.get(key);
    if (!frame) return;
    this.release(frame);
    this.frames.delete(key);
  }

  /** @param {number[]} keys */
  #drop(keys) {
    for (const key of keys) this.leaving.add(key);
    for (const key of this.leaving) {
      if (this.shown?.key === key) continue;
      this.leaving.delete(key);
      this.#forget(key);
    }
  }

  #clear() {
    this.leaving.clear();
    for (const frame of this.frames.values()) this.release(frame);
    this.frames.clear();
  }

  /**
   * @param {any} message
   * @param {DataView[]} buffers
   */
  #hear(message, buffers) {
    if (!message || typeof message !== "object") return;
    if (message.renew !== undefined) this.renew(message.renew, message.options);
    for (const [at, path] of (message.paths ?? []).entries()) {
      put(message, path, buffers[at]);
    }
    for (const frame of message.frames ?? []) this.take(frame);
    if (message.drop) this.#drop(message.drop);
    if (message.current !== undefined && !this.frames.has(message.current)) {
      this.model.send({ want: message.current });
    }
    this.state.publish(message.now);
    if (message.drawn !== undefined) this.state.draw(message.drawn);
    else this.state.settle();
  }
}

/**
 * Put what came as a buffer where it belongs.
 * @param {any} into
 * @param {(string | number)[]} path
 * @param {DataView} buffer
 */
function put(into, path, buffer) {
  let place = into;
  for (const step of path.slice(0, -1)) place = place[step];
  place[path[path.length - 1]] = buffer;
}
