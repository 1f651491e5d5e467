/** The sites of a plan on the map: planned, open, switched on, off, or to another option. */
import type { Features, SiteProperties } from '../api/answers';
import type { Look } from '../map/looks';
import type { Stage } from '../map/stage.svelte';
import { changes } from '../state/changes.svelte';

export type SiteState = 'open' | 'planned' | 'added' | 'removed' | 'changed';

export const SITE_STATES: { state: SiteState; colour: string; width: number; dash?: number[] }[] = [
  { state: 'open', colour: '--site-open', width: 2 },
  { state: 'planned', colour: '--site-planned', width: 4 },
  { state: 'removed', colour: '--site-removed', width: 4, dash: [1.2, 1] },
  { state: 'added', colour: '--site-added', width: 5 },
  { state: 'changed', colour: '--site-changed', width: 5, dash: [2.6, 0.5] },
];

/** What became of a site. */
export function findState(site: SiteProperties): SiteState {
  const now = changes.optionOf(site);
  if (now === site.chosen_option) return now === null ? 'open' : 'planned';
  if (site.chosen_option === null) return 'added';
  return now === null ? 'removed' : 'changed';
}

/** Draw all sites, each by its state. */
export function drawSites(stage: Stage, sites: Features, onclick: Look['onclick']): void {
  for (const { state, colour, width, dash } of SITE_STATES) {
    const features = sites.features.filter((one) => findState(one.properties as SiteProperties) === state);
    stage.show(`sites-${state}`, { type: 'FeatureCollection', features }, { kind: 'line', colour, width, dash, onclick });
  }
}
