/** The study that is open and who is reading it. */
import { api, setAccess } from '../api/api';
import type { Me, Named, PlanLine, StudyAnswer } from '../api/answers';
import { ANY, page } from './page.svelte';

export const study = $state<{ current: StudyAnswer | null; fault: string }>({ current: null, fault: '' });
export const me = $state<{ current: Me | null; loginOpen: boolean }>({ current: null, loginOpen: false });

const RIGHTS: Record<string, string[]> = {
  public: ['public'],
  viewer: ['public', 'viewer'],
  planner: ['public', 'viewer', 'planner'],
  auditor: ['public', 'viewer', 'auditor'],
  admin: ['public', 'viewer', 'planner', 'auditor', 'admin'],
  local: ['public', 'viewer', 'planner', 'auditor', 'admin'],
};

/** May the reader do what this role does? */
export function may(role: string): boolean {
  const rights = RIGHTS[me.current?.role ?? 'public'] ?? RIGHTS.public;
  return rights.includes(role);
}

/** Ask who is reading, then open the study and fill in what the link left open; `begin` may ask for more meanwhile. */
export async function openStudy(begin?: () => void): Promise<void> {
  study.fault = '';
  try {
    me.current = await api.get<Me>('/api/me');
    setAccess(me.current.csrf, () => (me.loginOpen = true));
    if (me.current.login_needed && !me.current.public) me.loginOpen = true;
    begin?.();
    study.current = await api.get<StudyAnswer>('/api/study');
    fillPage(study.current);
  } catch (error) {
    study.fault = error instanceof Error ? error.message : String(error);
  }
}

/** Fill in what a link left open. */
export function fillPage(answer: StudyAnswer): void {
  const plans = answer.plans.map((plan) => plan.name);
  if (!plans.includes(page.plan)) page.plan = plans[0] ?? '';
  if (page.other && !plans.includes(page.other)) page.other = '';
  if (page.approach !== ANY && !answer.approaches.some((one) => one.key === page.approach)) page.approach = answer.approaches[0]?.key ?? '';
}

/** The key of a thing that the server sends as a word or as a key with a name. */
export function keyOf(thing: string | Named): string {
  return typeof thing === 'string' ? thing : thing.key;
}

/** The name of a thing that the server sends as a word or as a key with a name. */
export function nameOf(thing: string | Named): string {
  return typeof thing === 'string' ? thing : thing.name;
}

/** The plan of this name as the study lists it. */
export function findPlan(name: string): PlanLine | undefined {
  return study.current?.plans.find((plan) => plan.name === name);
}
