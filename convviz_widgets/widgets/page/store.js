// What a page knows of each state: what the kernel has published last, what the user has done on
// the page since, and which checkpoint is seen.

/**
 * @typedef {{ state: string, serial: number, key: number | null,
 *             selection: Record<string, unknown>, cause: [string, number] | null }} Now
 *   What a kernel publishes: the state's identity, a number that grows, the checkpoint's number,
 *   the other fields of the selection, and the page and the move that it answers to.
 * @typedef {{ value: unknown, source: string, order: number, acknowledged: boolean }} Claim
 *   What the user has chosen on this page and the kernel has not said yet.
 * @typedef {{ counts(): boolean, has(key: number): boolean, lacks?(key: number): boolean,
 *             show(key: number | null): void }} Follower
 *   A book of frames, or a label: what changes with the checkpoint.
 */

const PATIENCE = 30_000; // milliseconds after which a choice that no kernel repeats is given up

/** The states that are seen on one page, and the page's name. */
class Page {
  constructor() {
    this.name = crypto.randomUUID ? crypto.randomUUID() : String(Math.random());
    /** @type {Map<string, PageState>} */
    this.states = new Map();
    this.orders = 0;
  }

  /** @param {string} id */
  state(id) {
    let found = this.states.get(id);
    if (!found) {
      found = new PageState(id);
      this.states.set(id, found);
    }
    return found;
  }
}

/** One state as the page knows it. */
export class PageState {
  /** @param {string} id */
  constructor(id) {
    this.id = id;
    this.serial = -1;
    /** @type {Now | null} */
    this.now = null;
    /** @type {Map<string, Claim>} */
    this.claims = new Map();
    /** @type {Set<Follower>} */
    this.followers = new Set();
    /** @type {number[]} */
    this.keys = []; // of the checkpoints in order, where there is a clock
    /** @type {number | null} */
    this.shown = null;
    this.shownOrder = 0; // of the move that led to what is shown
    this.drawn = -1; // the serial of what all views in the kernel have drawn
    this.settling = false;
    this.again = false;
  }

  /**
   * Stop telling a follower; a state that nobody follows is forgotten.
   * @param {Follower} follower
   */
  leave(follower) {
    this.followers.delete(follower);
    const { states } = pageOf();
    if (!this.followers.size && states.get(this.id) === this) states.delete(this.id);
  }

  /**
   * Take what the kernel has published; an older one than known is ignored.
   * @param {Now | null | undefined} now
   */
  publish(now) {
    if (!now || now.serial < this.serial) return;
    this.serial = now.serial;
    this.now = now;
    for (const [field, claim] of this.claims) {
      if (!claim.acknowledged && now.selection[field] === claim.value) this.claims.delete(field);
    }
    this.settle();
  }

  /**
   * Hold that the user has chosen a value here, until the kernel says what came of it.
   * @param {string} field
   * @param {unknown} value
   * @param {string} source
   * @param {boolean} acknowledged whether the kernel will say that it has heard of it
   */
  claim(field, value, source, acknowledged) {
    const claim = { value, source, order: ++pageOf().orders, acknowledged };
    this.claims.set(field, claim);
    if (!acknowledged) setTimeout(() => this.#giveUp(field, claim), PATIENCE);
    this.settle();
    return claim.order;
  }

  /**
   * Hear from an element when the kernel has dealt with what the user did there, on this page.
   * @param {{ get(name: string): any, on(event: string, callback: () => void): void }} model
   * @param {string} source the element
   */
  hearAnswers(model, source) {
    model.on("change:heard", () => {
      const [page, order] = model.get("heard");
      if (page === pageOf().name) this.heard(source, order);
    });
  }

  /**
   * The kernel has heard of all that a source has claimed up to this order.
   * @param {string} source
   * @param {number} order
   */
  heard(source, order) {
    for (const [field, claim] of this.claims) {
      if (claim.source === source && claim.order <= order) this.claims.delete(field);
    }
    this.settle();
  }

  /**
   * The kernel has set a control to something else: what was chosen there is void.
   * @param {string} field
   * @param {string} source the control: what was chosen on another one holds
   */
  withdraw(field, source) {
    if (this.claims.get(field)?.source !== source) return;
    this.claims.delete(field);
    this.settle();
  }

  /** @param {string} field */
  value(field) {
    const claim = this.claims.get(field);
    return claim ? claim.value : this.now ? this.now.selection[field] : undefined;
  }

  /** The checkpoint that the clock points at, by its number. @returns {number | null} */
  get key() {
    const claim = this.claims.get("key");
    return claim ? /** @type {number} */ (claim.value) : this.now ? this.now.key : null;
  }

  /** @param {Iterable<string>} fields */
  isClaimed(fields) {
    for (const field of fields) if (this.claims.has(field)) return true;
    return false;
  }

  /** @param {number} key */
  isReady(key) {
    for (const each of this.followers) if (each.counts() && !each.has(key)) return false;
    return true;
  }

  /**
   * All views in the kernel have drawn what was published: there is nothing to wait for.
   * @param {number} serial
   */
  draw(serial) {
    this.drawn = Math.max(this.drawn, serial);
    this.settle();
  }

  /**
   * Show the checkpoint that the clock points at if all have it, else the kernel's latest; until
   * all have that, or the kernel has drawn all that it can, what is shown stays.
   */
  settle() {
    if (this.settling) {
      this.again = true;
      return;
    }
    this.settling = true;
    try {
      do {
        this.again = false;
        this.#choose();
        for (const each of this.followers) each.show(this.shown);
      } while (this.again);
    } finally {
      this.settling = false;
    }
  }

  #choose() {
    const claim = this.claims.get("key");
    const { key, now } = this;
    if (key === null || this.shown === null || this.isReady(key)) {
      this.shown = key;
      this.shownOrder = claim ? claim.order : 0;
    } else if (now && this.#leadsOn(now, claim) && this.#isDrawn(now)) {
      this.shown = now.key;
      this.shownOrder = claim && now.cause ? now.cause[1] : 0;
    }
  }

  /**
   * Whether a publication is not older than what the user sees already.
   * @param {Now} now
   * @param {Claim | undefined} claim
   */
  #leadsOn({ cause }, claim) {
    if (!claim || !this.shownOrder) return true;
    return cause !== null && cause[0] === pageOf().name && cause[1] >= this.shownOrder;
  }

  /**
   * Whether all that the kernel draws for a publication can be seen at once.
   * @param {Now} now
   */
  #isDrawn({ serial, key }) {
    if (key === null) return true;
    const over = this.drawn >= serial; // who lacks it by then does not get it
    for (const each of this.followers) {
      if (each.counts() && !each.has(key) && !(over && each.lacks?.(key))) return false;
    }
    return true;
  }

  /**
   * @param {string} field
   * @param {Claim} claim
   */
  #giveUp(field, claim) {
    if (this.claims.get(field) === claim) this.withdraw(field, claim.source);
  }
}

const PLACE = "convviz_widgets.page.1";

/** Return what all elements of this page share. @returns {Page} */
export function pageOf() {
  const shared = /** @type {Record<string, any>} */ (globalThis);
  return (shared[PLACE] ??= new Page());
}
