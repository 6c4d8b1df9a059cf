// What all panes share: where they look, their levels and colours, the tool in hand. Changes are told once a frame.

export class View extends EventTarget {
  /** @param {number[]} shape rows, columns */
  constructor(shape) {
    super();
    this.shape = shape;
    this.row = shape[0] / 2; // image px at the centre of a pane
    this.column = shape[1] / 2;
    this.zoom = 0; // CSS px per image px; 0 until fitted
    this.low = 0;
    this.high = 1;
    this.map = "gray";
    this.residualMap = "gray";
    this.residualHalf = 1; // the residual is shown from minus to plus this
    this.residualCentre = 0;
    /** @type {"pan" | "profile" | "region"} */
    this.tool = "pan";
    /** @type {{ row: number, column: number } | null} */
    this.cursor = null;
    /** @type {number[] | null} rows and columns of both ends */
    this.line = null;
    this.width = 1; // px, of the line
    /** @type {number[] | null} first row, first column, last row, last column; the last ones are outside */
    this.region = null;
    this.queued = false;
    this.fitted = true;
    /** CSS px of the smallest pane. */
    this.extent = [0, 0];
  }

  /** @param {Partial<Record<string, any>>} changes */
  set(changes) {
    Object.assign(this, changes);
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => {
      this.queued = false;
      this.dispatchEvent(new Event("change"));
    });
  }

  /** Zoom that shows the whole image. */
  get whole() {
    const [height, width] = this.extent;
    return Math.min(height / this.shape[0], width / this.shape[1]) || 1;
  }

  fit() {
    this.set({ zoom: this.whole, row: this.shape[0] / 2, column: this.shape[1] / 2, fitted: true });
  }

  /** @param {number} height @param {number} width CSS px */
  resize(height, width) {
    this.extent = [height, width];
    if (this.fitted || !this.zoom) this.fit();
    else this.set({});
  }

  /** @param {number} factor @param {number} [row] what stays in place @param {number} [column] */
  zoomBy(factor, row = this.row, column = this.column) {
    const zoom = Math.min(64, Math.max(Math.min(this.whole * 0.8, 1), this.zoom * factor));
    const ratio = this.zoom / zoom;
    this.moveTo(row + (this.row - row) * ratio, column + (this.column - column) * ratio, zoom);
  }

  /** @param {number} row @param {number} column @param {number} [zoom] */
  moveTo(row, column, zoom = this.zoom) {
    const within = (/** @type {number} */ at, /** @type {number} */ length) => Math.min(length, Math.max(0, at));
    this.set({ row: within(row, this.shape[0]), column: within(column, this.shape[1]), zoom, fitted: false });
  }

  /** First and last row and column that a pane of this size shows, within the image. @param {number} height @param {number} width CSS px */
  window(height = this.extent[0], width = this.extent[1]) {
    const [rows, columns] = this.shape;
    return [
      Math.max(0, Math.floor(this.row - height / 2 / this.zoom)),
      Math.max(0, Math.floor(this.column - width / 2 / this.zoom)),
      Math.min(rows, Math.ceil(this.row + height / 2 / this.zoom)),
      Math.min(columns, Math.ceil(this.column + width / 2 / this.zoom)),
    ];
  }
}
