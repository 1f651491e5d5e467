/** Counts what is on its way, so that the page can say when it is ready. */

const state = $state({ pending: 0 });

export const busy = {
  get pending(): number {
    return state.pending;
  },
};

/** Count a piece of work until it ends, well or not. */
export async function follow<T>(work: Promise<T>): Promise<T> {
  state.pending += 1;
  try {
    return await work;
  } finally {
    state.pending -= 1;
  }
}

/** Note a moment, milliseconds since the page was opened, once. */
export function mark(name: string): void {
  const marks = (window.__abatis_marks ??= {});
  marks[name] ??= Math.round(performance.now());
}
