/** A click on the ground: which cell it is and what is known of it. */
import { cells, findCell, nameCell, outlineFeature } from '../mesh/cells.svelte';
import { stage } from '../map/stage.svelte';
import { describeCell } from '../mesh/describe';
import { compareStage } from '../state/compare.svelte';
import { closeInspect, inspect } from '../state/inspect.svelte';
import { study } from '../state/study.svelte';
import { t } from '../words/words.svelte';

/** Open the box for the cell under a point; outside the mesh it closes. */
export function inspectCell([lon, lat]: [number, number]): void {
  const held = cells.current;
  if (!held || !study.current) return;
  const row = findCell(held, study.current.resolution, lon, lat);
  if (row < 0) {
    closeInspect();
    stage.highlight(null);
    compareStage.highlight(null);
    return;
  }
  const outline = outlineFeature(held, row);
  stage.highlight(outline);
  compareStage.highlight(outline);
  inspect({ title: t('Cell {name}', { name: nameCell(held, row) }), rows: describeCell(held, row) });
}
