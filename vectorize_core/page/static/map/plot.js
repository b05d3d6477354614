// Draws points on two canvases: all of them below, which changes seldom, and what is lit or pointed at above.

const MARGIN = 28;
const REACH = 14;
const MOST_ZOOM = 60;
const MOST_STRETCH = 1.8;
const RADII = [[400, 5.5], [2500, 4.2], [8000, 3.2], [Infinity, 2.5]];

export class Plot {
  constructor(below, above) {
    Object.assign(this, { below, above, points: null, zoom: 1, x: 0.5, y: 0.5, width: 0, height: 0 });
    this.state = { groups: null, palette: [], only: null, lit: [], at: null, opened: null, ring: "#000", field: "#fff" };
    this.due = 0;
    this.stale = true;
  }

  /** What is to be seen from now on; of `state`, what changed. */
  show(points, state) {
    const keys = ["groups", "palette", "only", "lit"];
    if (points !== this.points || keys.some((key) => key in state && state[key] !== this.state[key])) this.stale = true;
    this.points = points;
    Object.assign(this.state, state);
    this.request();
  }

  resize(width, height, scale) {
    if (width === this.width && height === this.height && scale === this.scale) return;
    Object.assign(this, { width, height, scale, stale: true });
    for (const canvas of [this.below, this.above]) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    this.draw();
  }

  /** The size of the square that all points are in, in pixels. */
  get side() {
    return Math.max(Math.min(this.width, this.height) - 2 * MARGIN, 40) * this.zoom;
  }

  // The longer side of the frame is used as well: nothing is gained by a square.
  get across() {
    return this.side * stretch(this.width / this.height);
  }

  get down() {
    return this.side * stretch(this.height / this.width);
  }

  toPixels(n) {
    return [
      this.width / 2 + (this.points.xs[n] - this.x) * this.across,
      this.height / 2 + (this.points.ys[n] - this.y) * this.down,
    ];
  }

  toPlace(px, py) {
    return [this.x + (px - this.width / 2) / this.across, this.y + (py - this.height / 2) / this.down];
  }

  /** How far one may be off a point, as a distance between places. */
  get reach() {
    return REACH / this.side;
  }

  zoomBy(factor, px = this.width / 2, py = this.height / 2) {
    const [x, y] = this.toPlace(px, py);
    this.zoom = Math.min(Math.max(this.zoom * factor, 1), MOST_ZOOM);
    const [nowX, nowY] = this.toPlace(px, py);
    this.moveTo(this.x + x - nowX, this.y + y - nowY);
  }

  moveBy(dx, dy) {
    this.moveTo(this.x - dx / this.across, this.y - dy / this.down);
  }

  moveTo(x, y) {
    const room = 0.5 - 0.5 / this.zoom;
    this.x = Math.min(Math.max(x, 0.5 - room), 0.5 + room);
    this.y = Math.min(Math.max(y, 0.5 - room), 0.5 + room);
    this.stale = true;
    this.request();
  }

  fit() {
    this.zoom = 1;
    this.moveTo(0.5, 0.5);
  }

  /** Moves the map, if a point is outside of it. */
  reveal(n) {
    const [px, py] = this.toPixels(n);
    if (px < 0 || py < 0 || px > this.width || py > this.height) this.moveTo(this.points.xs[n], this.points.ys[n]);
  }

  request() {
    this.due ||= requestAnimationFrame(() => this.draw());
  }

  close() {
    cancelAnimationFrame(this.due);
  }

  draw() {
    cancelAnimationFrame(this.due);
    this.due = 0;
    if (!this.points || !this.width) return;
    if (this.stale) this.drawAll();
    this.stale = false;
    this.drawMarks();
  }

  drawAll() {
    const context = this.ready(this.below);
    const { groups, palette, only, lit } = this.state;
    const { xs, ys, size } = this.points;
    const radius = this.radius;
    const reach = radius + 1;
    const sprites = palette.map((color) => sprite(color, radius, this.scale));
    const faint = lit.length > 0;
    const { across, down } = this;
    const [left, top] = [this.width / 2 - this.x * across - reach, this.height / 2 - this.y * down - reach];
    for (const shown of only === null ? [true] : [false, true]) {
      context.globalAlpha = shown ? (faint ? 0.3 : 0.82) : 0.08;
      for (let n = 0; n < size; n += 1) {
        const group = groups[n];
        if (only !== null && (group === only) !== shown) continue;
        const px = left + xs[n] * across;
        const py = top + ys[n] * down;
        if (px < -reach * 2 || py < -reach * 2 || px > this.width || py > this.height) continue;
        context.drawImage(sprites[group] ?? sprites[0], px, py, reach * 2, reach * 2);
      }
    }
    context.globalAlpha = 1;
  }

  drawMarks() {
    const context = this.ready(this.above);
    const { groups, palette, lit, at, opened, ring, field } = this.state;
    const mark = (n, grow, line) => {
      const [px, py] = this.toPixels(n);
      context.beginPath();
      context.arc(px, py, this.radius + grow, 0, 2 * Math.PI);
      context.fillStyle = palette[groups[n]] ?? palette[0];
      context.fill();
      context.lineWidth = line + 2;
      context.strokeStyle = field;
      context.stroke();
      context.lineWidth = line;
      context.strokeStyle = ring;
      context.stroke();
    };
    for (const n of lit) mark(n, 1.5, 1.5);
    if (opened !== null) mark(opened, 3, 2.5);
    if (at !== null) mark(at, 3.5, 2);
  }

  get radius() {
    const plain = RADII.find(([most]) => this.points.size <= most)[1];
    return plain * Math.min(this.zoom ** 0.3, 2);
  }

  ready(canvas) {
    const context = canvas.getContext("2d");
    context.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    return context;
  }
}

const stretch = (ratio) => Math.min(Math.max(ratio, 1), MOST_STRETCH);

/** A dot, drawn once. */
function sprite(color, radius, scale) {
  const canvas = document.createElement("canvas");
  const size = Math.ceil((radius + 1) * 2 * scale);
  canvas.width = size;
  canvas.height = size;
  const context = canvas.getContext("2d");
  context.beginPath();
  context.arc(size / 2, size / 2, radius * scale, 0, 2 * Math.PI);
  context.fillStyle = color;
  context.fill();
  return canvas;
}
