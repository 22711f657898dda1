// A book without a picture: its frames are written into other widgets of the page.
import { Book } from "./book.js";
import { hearKernel, modelsOf } from "./element.js";

/**
 * @typedef {import("./book.js").Frame} Frame
 * @typedef {import("./element.js").Model} Model
 */

/** Writes what belongs to a checkpoint into widgets such as a caption and the bars of a plot. */
class Writer {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    /** @type {WeakMap<Frame, [any, Record<string, any>][]>} */
    this.read = new WeakMap();
    /** @type {Set<Frame>} */
    this.reading = new Set();
    /** @type {Frame | null} */
    this.written = null;
    this.book = new Book(model, (frame) => this.#write(frame), (frame) => this.#prepare(frame),
      (frame) => this.read.delete(frame));
  }

  /**
   * Tell whether a frame has been read; if not, read it, and have it shown then.
   * @param {Frame} frame
   */
  #prepare(frame) {
    if (this.read.has(frame)) return true;
    if (!this.reading.has(frame)) this.#read(frame);
    return false;
  }

  /** @param {Frame} frame */
  async #read(frame) {
    this.reading.add(frame);
    const writes = frame.writes ?? [];
    const widgets = await modelsOf(this.model, writes.map(([id]) => id));
    const found = await Promise.all(writes.map(async ([, values], at) => {
      const widget = widgets[at];
      return /** @type {[any, Record<string, any>]} */ (
        widget ? [widget, await understood(widget, values)] : [undefined, {}]
      );
    }));
    this.read.set(frame, found.filter(([widget]) => widget !== undefined));
    this.reading.delete(frame);
    this.book.state.settle();
  }

  /** @param {Frame} frame */
  #write(frame) {
    if (frame === this.written) return;
    this.written = frame;
    for (const [widget, values] of this.read.get(frame) ?? []) widget.set(values);
  }
}

/**
 * Return values as a widget understands them: arrays come as bytes.
 * @param {any} widget
 * @param {Record<string, any>} values
 * @returns {Promise<Record<string, any>>}
 */
async function understood(widget, values) {
  // Neither documented nor private by name: every front end's manager reads a kernel's values by it.
  const kind = widget.constructor;
  return kind._deserialize_state ? kind._deserialize_state(values, widget.widget_manager) : values;
}

/** @type {import("./element.js").Render} */
export function renderWriter({ model, el }) {
  hearKernel(model);
  el.hidden = true;
  const writer = new Writer(model);
  return () => writer.book.close();
}
