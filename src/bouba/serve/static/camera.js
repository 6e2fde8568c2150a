// Where the map is looked at from: the place in the middle, and how many pixels a unit of the map takes.

const WHOLE = 65535;
const CLOSEST = 40; // pixels a unit

export class Camera {
  x = WHOLE / 2;
  y = WHOLE / 2;
  zoom = 1;
  width = 1;
  height = 1;

  /** The whole map fits at zoom 1. */
  get scale() {
    return (this.zoom * 0.94 * Math.min(this.width, this.height)) / WHOLE;
  }

  reset() {
    [this.x, this.y, this.zoom] = [WHOLE / 2, WHOLE / 2, 1];
  }

  move(right, down) {
    this.x = clamp(this.x - right / this.scale);
    this.y = clamp(this.y + down / this.scale);
  }

  /** Closer by a factor, while what is at a place of the screen stays there. */
  closer(factor, across = this.width / 2, down = this.height / 2) {
    const [x, y] = this.mapAt(across, down);
    const most = CLOSEST / (this.scale / this.zoom);
    this.zoom = Math.max(0.5, Math.min(most, this.zoom * factor));
    this.x = clamp(x - (across - this.width / 2) / this.scale);
    this.y = clamp(y + (down - this.height / 2) / this.scale);
  }

  /** From the screen to the map; up on the screen is more. */
  mapAt(across, down) {
    return [this.x + (across - this.width / 2) / this.scale, this.y - (down - this.height / 2) / this.scale];
  }

  screenAt(x, y) {
    return [(x - this.x) * this.scale + this.width / 2, (this.y - y) * this.scale + this.height / 2];
  }
}

const clamp = (at) => Math.max(0, Math.min(WHOLE, at));
