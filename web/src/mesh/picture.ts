/** A picture of the whole mesh whose points hold the cell they lie in: far away it stands for all outlines. */
import { CORNERS } from './corners';

/** Points along the longer side. */
export const PICTURE_SIDE = 2048;

export interface Picture {
  width: number;
  height: number;
  /** Side of one point in the plane. */
  point: number;
  /** Row of the cell under each point, plus one; 0 outside the mesh. Rows from north to south. */
  cells: Uint32Array;
}

/**
 * Fill the picture, each point by the cell that holds its centre.
 *
 * `corners` are offsets in the plane, [cells x 6 x 2]; `extent` is [west, north, east, south] of all of them.
 */
export function paintPicture(corners: Float32Array, extent: [number, number, number, number], side = PICTURE_SIDE): Picture {
  const [west, north, east, south] = extent;
  const scale = side / Math.max(east - west, south - north);
  const width = Math.max(1, Math.ceil((east - west) * scale));
  const height = Math.max(1, Math.ceil((south - north) * scale));
  const cells = new Uint32Array(width * height);
  const x = new Float64Array(CORNERS);
  const y = new Float64Array(CORNERS);
  for (let first = 0, cell = 1; first < corners.length; first += CORNERS * 2, cell++) {
    let top = Infinity;
    let bottom = -Infinity;
    for (let corner = 0; corner < CORNERS; corner++) {
      x[corner] = (corners[first + 2 * corner] - west) * scale;
      y[corner] = (corners[first + 2 * corner + 1] - north) * scale;
      if (y[corner] < top) top = y[corner];
      if (y[corner] > bottom) bottom = y[corner];
    }
    const last = Math.min(height - 1, Math.ceil(bottom - 0.5) - 1);
    for (let row = Math.max(0, Math.ceil(top - 0.5)); row <= last; row++) fillRow(cells, width, row, x, y, cell);
  }
  return { width, height, point: 1 / scale, cells };
}

/** Fill the part of one row that lies inside a convex outline. */
function fillRow(cells: Uint32Array, width: number, row: number, x: Float64Array, y: Float64Array, cell: number): void {
  const middle = row + 0.5;
  let left = Infinity;
  let right = -Infinity;
  for (let corner = 0, before = CORNERS - 1; corner < CORNERS; before = corner++) {
    if (y[corner] <= middle === y[before] <= middle) continue;
    const crossing = x[before] + ((middle - y[before]) / (y[corner] - y[before])) * (x[corner] - x[before]);
    if (crossing < left) left = crossing;
    if (crossing > right) right = crossing;
  }
  const from = Math.max(0, Math.ceil(left - 0.5));
  const to = Math.min(width, Math.ceil(right - 0.5));
  if (from < to) cells.fill(cell, row * width + from, row * width + to);
}
