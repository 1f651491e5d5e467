/** A cell is drawn with six corners, whatever number its outline has. */

export const CORNERS = 6;

/**
 * Six corners of an outline of lon, lat pairs: a pentagon repeats its last, and where a cell lies over an edge of
 * H3's icosahedron the corners that turn least (they stand on a straight side) are left out.
 */
export function keepCorners(outline: number[][]): number[][] {
  const open = outline.length > 1 && isSame(outline[0], outline[outline.length - 1]) ? outline.slice(0, -1) : outline;
  if (open.length === CORNERS) return open;
  if (open.length < CORNERS) {
    const filled = [...open];
    while (filled.length < CORNERS) filled.push(open[open.length - 1]);
    return filled;
  }
  return open
    .map((corner, place) => ({ corner, place, turn: measureTurn(open, place) }))
    .sort((a, b) => b.turn - a.turn)
    .slice(0, CORNERS)
    .sort((a, b) => a.place - b.place)
    .map((kept) => kept.corner);
}

function isSame(a: number[], b: number[]): boolean {
  return a[0] === b[0] && a[1] === b[1];
}

function measureTurn(outline: number[][], place: number): number {
  const before = outline[(place + outline.length - 1) % outline.length];
  const here = outline[place];
  const after = outline[(place + 1) % outline.length];
  const [ax, ay, bx, by] = [here[0] - before[0], here[1] - before[1], after[0] - here[0], after[1] - here[1]];
  return Math.abs(ax * by - ay * bx) / (Math.hypot(ax, ay) * Math.hypot(bx, by) || 1);
}
