// The map's picture: points are painted once, a little beyond the edges, and while a person moves, that picture moves.
// It is painted again when the map lies still, some points at a time, so that no frame waits for a million.

import { plainPainter } from "./paint_2d.js";
import { glPainter } from "./paint_gl.js";

const MARGIN = 1.5; // the picture is so many times as wide as what is seen of it
const AT_ONCE = 150000; // points a frame
const FEW = 60000; // so many are painted while the map moves
const STILL = 140; // ms

export class Stage {
  /** @param canvas the one that is seen. @param camera what it is looked at from. */
  constructor(canvas, camera) {
    this.canvas = canvas;
    this.camera = camera;
    this.painter = null;
    this.shot = null; // the camera as it was when the picture was painted
    this.round = 0; // counts paintings, to give up one that another follows
  }

  load(points) {
    this.points = points;
    this.painter = glPainter(points) ?? plainPainter(points);
    this.canvas.dataset.painter = this.painter.kind;
    this.shot = null;
  }

  colour(codes, palette) {
    this.painter.colour(codes, palette);
    this.paint();
  }

  /** After the camera moved: the picture follows at once, and is painted anew soon. */
  moved() {
    this.follow();
    clearTimeout(this.timer);
    if (this.points.n <= FEW) this.soon();
    else {
      if (!this.covers()) this.soon();
      this.timer = setTimeout(() => this.paint(), STILL);
    }
  }

  /** Paints with the next frame, once, unless it paints already. */
  soon() {
    if (this.waiting || this.painting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      this.paint();
    });
  }

  /** Whether the picture, as it lies now, fills all that is seen. */
  covers() {
    const { camera, shot } = this;
    if (!shot) return false;
    const [across, down] = camera.screenAt(shot.x, shot.y);
    const half = camera.scale / shot.scale / 2;
    return Math.abs(across - camera.width / 2) <= shot.width * half - camera.width / 2 && Math.abs(down - camera.height / 2) <= shot.height * half - camera.height / 2;
  }

  follow() {
    if (!this.shot) return;
    const { camera, shot } = this;
    const factor = camera.scale / shot.scale;
    const [across, down] = camera.screenAt(shot.x, shot.y);
    const left = across - (shot.width * factor) / 2;
    const top = down - (shot.height * factor) / 2;
    this.canvas.style.transform = `translate(${left}px, ${top}px) scale(${factor})`;
  }

  /** Size of a point, larger the fewer there are and the closer one is. */
  size() {
    const { n } = this.points;
    const base = n > 300000 ? 1.5 : n > 50000 ? 2.5 : n > 5000 ? 4 : 6;
    return Math.min(16, base * Math.max(1, this.camera.zoom ** 0.35));
  }

  async paint() {
    if (!this.painter) return;
    const round = ++this.round;
    const began = performance.now();
    const { camera, painter, points } = this;
    const ratio = Math.min(devicePixelRatio, points.n > FEW ? 1 : 2);
    const shot = { x: camera.x, y: camera.y, scale: camera.scale, width: Math.round(camera.width * MARGIN), height: Math.round(camera.height * MARGIN) };
    painter.begin({ ...shot, scale: shot.scale * ratio, width: shot.width * ratio, height: shot.height * ratio, size: this.size() * ratio });
    this.painting = true;
    for (let first = 0; first < points.n; first += AT_ONCE) {
      if (first) await new Promise(requestAnimationFrame);
      if (round !== this.round) return; // the next one has begun
      painter.some(first, Math.min(AT_ONCE, points.n - first));
    }
    this.painting = false;
    painter.end();
    this.reveal(shot, ratio);
    this.canvas.dataset.painted = String(Math.round(performance.now() - began));
  }

  reveal(shot, ratio) {
    const { canvas, painter } = this;
    const [width, height] = [shot.width * ratio, shot.height * ratio];
    if (canvas.width !== width || canvas.height !== height) {
      [canvas.width, canvas.height] = [width, height];
      [canvas.style.width, canvas.style.height] = [`${shot.width}px`, `${shot.height}px`];
    }
    const context = canvas.getContext("2d");
    context.globalCompositeOperation = "copy";
    context.drawImage(painter.canvas, 0, 0);
    this.shot = shot;
    this.follow();
  }
}
