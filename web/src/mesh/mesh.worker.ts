/** Outlines of cells in Mercator, counted beside the page so that the map can start meanwhile. */
import { cellToBoundary } from 'h3-js';
import { CORNERS, keepCorners } from './corners';
import { paintPicture, type Picture } from './picture';

export interface MeshQuestion {
  low: Uint32Array;
  high: Uint32Array;
}

export interface MeshAnswer {
  /** Offset of every corner from the origin, in Mercator units: [cells x 6 x 2]. */
  corners: Float32Array;
  origin: [number, number];
  /** Smallest and largest offset: [west, north, east, south]. */
  extent: [number, number, number, number];
  picture: Picture;
}

function projectX(lon: number): number {
  return lon / 360 + 0.5;
}

function projectY(lat: number): number {
  const sine = Math.sin((lat * Math.PI) / 180);
  return 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI);
}

/** Six corners of each cell; distances from an origin keep single precision exact to centimetres. */
function outlineCells({ low, high }: MeshQuestion): MeshAnswer {
  const count = low.length;
  const corners = new Float32Array(count * CORNERS * 2);
  const extent: [number, number, number, number] = [Infinity, Infinity, -Infinity, -Infinity];
  const origin: [number, number] = [0, 0];
  for (let cell = 0; cell < count; cell++) {
    const outline = keepCorners(cellToBoundary([low[cell], high[cell]], true));
    if (cell === 0) {
      origin[0] = projectX(outline[0][0]);
      origin[1] = projectY(outline[0][1]);
    }
    for (let corner = 0; corner < CORNERS; corner++) {
      const x = projectX(outline[corner][0]) - origin[0];
      const y = projectY(outline[corner][1]) - origin[1];
      const at = (cell * CORNERS + corner) * 2;
      corners[at] = x;
      corners[at + 1] = y;
      if (x < extent[0]) extent[0] = x;
      if (y < extent[1]) extent[1] = y;
      if (x > extent[2]) extent[2] = x;
      if (y > extent[3]) extent[3] = y;
    }
  }
  return { corners, origin, extent, picture: paintPicture(corners, extent) };
}

self.onmessage = (event: MessageEvent<MeshQuestion>) => {
  const answer = outlineCells(event.data);
  (self as unknown as Worker).postMessage(answer, [answer.corners.buffer, answer.picture.cells.buffer]);
};
