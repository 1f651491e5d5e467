/** One answer of the server that follows its address: asked again when the address changes or when told to. */
import { untrack } from 'svelte';
import { api } from '../api/api';

export class Answer<T> {
  current = $state.raw<T | null>(null);
  problem = $state('');
  loading = $state(false);
  private turn = 0;

  constructor(private readonly path: () => string | null) {
    $effect(() => {
      const path = this.path();
      // Asking counts itself as busy, which this effect must not wait for.
      if (path !== null) untrack(() => void this.load(path));
    });
  }

  /** Ask again, as after a job or an import. */
  reload = (): void => {
    const path = this.path();
    if (path !== null) void this.load(path);
  };

  private async load(path: string): Promise<void> {
    const turn = ++this.turn;
    this.loading = true;
    this.problem = '';
    try {
      const answer = await api.get<T>(path);
      if (turn === this.turn) this.current = answer;
    } catch (error) {
      if (turn === this.turn) {
        this.current = null;
        this.problem = error instanceof Error ? error.message : String(error);
      }
    } finally {
      if (turn === this.turn) this.loading = false;
    }
  }
}
