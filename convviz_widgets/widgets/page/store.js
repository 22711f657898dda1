// @ts-check
/** What is selected, as the page knows it. */
export class Store {
  /** @type {number} */
  position = 0;
}
