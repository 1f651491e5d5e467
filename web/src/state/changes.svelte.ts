/** Sites switched on and off against a plan, and what the plan is then worth. Nothing is saved. */
import { api } from '../api/api';
import type { Choices, SiteProperties, SwitchAnswer } from '../api/answers';
import { follow } from './busy.svelte';

class Changes {
  plan = $state('');
  choices = $state.raw<Choices>({});
  answer = $state.raw<SwitchAnswer | null>(null);
  fault = $state('');
  private turn = 0;

  get count(): number {
    return Object.keys(this.choices).length;
  }

  /** Begin with a plan as it is. */
  open(plan: string): void {
    if (plan === this.plan) return;
    this.plan = plan;
    this.choices = {};
    this.answer = null;
    this.fault = '';
  }

  /** The option of a site with the changes, null when it is left open. */
  optionOf(site: SiteProperties): string | null {
    return site.key in this.choices ? this.choices[site.key] : site.chosen_option;
  }

  /** Choose an option for a site; null leaves it open. The plan's own choice is no change. */
  choose(site: SiteProperties, option: string | null): void {
    const { [site.key]: _, ...others } = this.choices;
    this.set(option === site.chosen_option ? others : { ...others, [site.key]: option });
  }

  /** Take a whole set of changes. */
  set(choices: Choices): void {
    this.choices = choices;
    void follow(this.ask());
  }

  undo(): void {
    this.turn += 1;
    this.choices = {};
    this.answer = null;
    this.fault = '';
  }

  private async ask(): Promise<void> {
    const turn = ++this.turn;
    this.fault = '';
    if (this.count === 0) {
      this.answer = null;
      return;
    }
    try {
      const answer = await api.post<SwitchAnswer>(`/api/plans/${encodeURIComponent(this.plan)}/switch`, { choices: this.choices });
      if (turn !== this.turn) return;
      this.answer = answer;
    } catch (error) {
      if (turn === this.turn) this.fault = (error as Error).message;
    }
  }
}

export const changes = new Changes();
