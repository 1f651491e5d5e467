/** How much of the mesh lies within some hours. */

export interface Reach {
  within: { hours: number; share: number }[];
  /** Share of cells without any way. */
  never: number;
}

/** Count cells within each limit, as shares of all cells. */
export function measureReach(hours: Float32Array, limits: number[]): Reach {
  const counts = limits.map(() => 0);
  let never = 0;
  for (const value of hours) {
    if (!Number.isFinite(value)) never += 1;
    limits.forEach((limit, place) => {
      if (value <= limit) counts[place] += 1;
    });
  }
  const all = Math.max(hours.length, 1);
  return { within: limits.map((limit, place) => ({ hours: limit, share: counts[place] / all })), never: never / all };
}
